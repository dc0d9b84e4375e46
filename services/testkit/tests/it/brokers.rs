//! Brokers and the registry, seen with clients that are not of this project.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use upwrite_testkit::kafka::{Broker, Brokers, Options, Registry, RegistryOptions, tool, unique_prefix};
use upwrite_testkit::postgres::{self, Cluster};
use upwrite_testkit::process::Process;
use upwrite_testkit::until;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs `kcat` to its end, off the runtime's thread; for at most `seconds`.
async fn kcat(bootstrap: &str, arguments: &[&str], input: &str, seconds: u32) -> Output {
    let mut command = Command::new("timeout");
    command.arg(seconds.to_string()).args(["kcat", "-q", "-b", bootstrap]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn topics(bootstrap: &str, arguments: &[&str]) -> String {
    let mut command = tool("org.apache.kafka.tools.TopicCommand");
    command.args(["--bootstrap-server", bootstrap]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn produce(bootstrap: &str, topic: &str, value: &str) {
    let output = kcat(bootstrap, &["-P", "-t", topic, "-X", "acks=all"], value, 60).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn consume(bootstrap: &str, topic: &str) -> Vec<String> {
    let output = kcat(bootstrap, &["-C", "-e", "-t", topic, "-o", "beginning"], "", 60).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_killed_broker_acknowledged_is_there_after_the_restart() {
    let broker = Broker::start(Options::default()).await;
    let (bootstrap, topic) = (broker.bootstrap(), unique_prefix());
    topics(&bootstrap, &["--create", "--topic", &topic]).await;
    produce(&bootstrap, &topic, "one\ntwo").await;
    broker.kill9().await;
    assert!(!kcat(&bootstrap, &["-L"], "", 2).await.status.success(), "killed, and yet it answers");
    broker.restart().await;
    assert_eq!(consume(&bootstrap, &topic).await, ["one", "two"]);
    produce(&bootstrap, &topic, "three").await;
    broker.stop().await;
    broker.restart().await;
    assert_eq!(consume(&bootstrap, &topic).await, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_paused_broker_answers_when_resumed() {
    let broker = Broker::start(Options::default()).await;
    broker.pause().await;
    assert!(!kcat(&broker.bootstrap(), &["-L"], "", 2).await.status.success(), "paused, and yet it answers");
    broker.resume().await;
    assert!(kcat(&broker.bootstrap(), &["-L"], "", 60).await.status.success());
}

#[tokio::test]
async fn the_shared_broker_makes_no_topics_by_itself() {
    let (broker, again) = (Broker::shared().await, Broker::shared().await);
    assert_eq!(broker.port(), again.port());
    let topic = unique_prefix();
    assert!(!kcat(&broker.bootstrap(), &["-P", "-t", &topic], "lost", 5).await.status.success());
    assert!(!topics(&broker.bootstrap(), &["--list"]).await.contains(&topic));
}

#[tokio::test]
async fn settings_win_and_clients_go_where_they_are_told() {
    let settings = vec![("message.max.bytes".to_owned(), "1000".to_owned())];
    let broker = Broker::start(Options { advertised_port: Some(1), settings, ..Options::default() }).await;
    let seen = kcat(&broker.bootstrap(), &["-L"], "", 60).await;
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.contains("127.0.0.1:1 "), "{seen}");
    let data = broker.data_dir().await;
    let written = std::fs::read_to_string(data.join("server.properties")).unwrap();
    assert!(written.ends_with("message.max.bytes=1000\n"), "{written}");
}

#[tokio::test]
async fn three_brokers_go_on_when_one_dies() {
    let brokers = Brokers::start(3).await;
    let (bootstrap, topic) = (brokers.bootstrap(), unique_prefix());
    let create = ["--create", "--topic", &topic, "--partitions", "3"];
    topics(&bootstrap, &create).await;
    let described = topics(&bootstrap, &["--describe", "--topic", &topic]).await;
    assert!(described.contains("ReplicationFactor: 3") && described.contains("min.insync.replicas=2"), "{described}");
    for partition in ["0", "1", "2"] {
        let output = kcat(&bootstrap, &["-P", "-t", &topic, "-p", partition, "-X", "acks=all"], partition, 60).await;
        assert!(output.status.success());
    }
    brokers.kill9(1).await;
    // One of the partitions has lost its leader: another node leads it as soon as the controllers miss the dead one.
    let all = until(LIMIT, "every partition to have a leader again", || async {
        let seen = consume(&bootstrap, &topic).await;
        (seen.len() == 3).then_some(seen)
    });
    let mut seen = all.await;
    seen.sort();
    assert_eq!(seen, ["0", "1", "2"]);
    produce(&bootstrap, &topic, "after").await;
    brokers.restart(1).await;
    brokers.kill9(0).await;
    until(LIMIT, "everything to be readable from the others", || async {
        (consume(&bootstrap, &topic).await.len() == 4).then_some(())
    })
    .await;
    brokers.restart_all().await;
    assert_eq!(consume(&bootstrap, &topic).await.len(), 4);
}

#[tokio::test]
async fn the_registry_speaks_confluents_api() {
    let registry = Registry::shared().await;
    let subject = unique_prefix();
    let body = r#"{"schema": "{\"type\": \"string\"}"}"#;
    let answer = http(&registry.url(), "POST", &format!("/subjects/{subject}/versions"), body).await;
    assert!(answer.contains("\"id\":"), "{answer}");
    let answer = http(&registry.url(), "GET", "/subjects", "").await;
    assert!(answer.contains(&subject), "{answer}");
}

/// The settings are those of docker-compose.yml.
#[tokio::test]
async fn a_registry_that_keeps_its_schemas_in_postgres_has_them_after_a_kill() {
    let cluster = Cluster::start(postgres::Options::default()).await;
    let database = cluster.create_database().await;
    let settings = [
        ("APICURIO_STORAGE_KIND", "sql".to_owned()),
        ("APICURIO_STORAGE_SQL_KIND", "postgresql".to_owned()),
        ("APICURIO_DATASOURCE_URL", format!("jdbc:postgresql://127.0.0.1:{}/{database}", cluster.port())),
        ("APICURIO_DATASOURCE_USERNAME", "postgres".to_owned()),
        ("APICURIO_DATASOURCE_PASSWORD", cluster.superuser_password().to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let mut registry = Registry::try_start(RegistryOptions { settings }).await.unwrap();
    http(&registry.url(), "POST", "/subjects/kept/versions", r#"{"schema": "{\"type\": \"string\"}"}"#).await;
    registry.restart().await;
    assert!(http(&registry.url(), "GET", "/subjects", "").await.contains("kept"));
}

/// One request by hand: the harness has no HTTP client, and needs none.
async fn http(base: &str, method: &str, path: &str, body: &str) -> String {
    let (host, prefix) = base.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{prefix}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// This test runs itself in a second process, has that start a broker, kills it, and looks for leftovers.
#[tokio::test]
async fn a_killed_test_process_leaves_no_broker() {
    const VICTIM: &str = "UPWRITE_TESTKIT_KAFKA_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        let broker = Broker::start(Options::default()).await;
        println!("port={}", broker.port());
        println!("data={}", broker.data_dir().await.display());
        return std::future::pending().await;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "brokers::a_killed_test_process_leaves_no_broker", "--nocapture"]).env(VICTIM, "1");
    let victim = Process::spawn(command);
    let after = |line: String, name: &str| line.split_once(name).unwrap().1.to_owned();
    let data = std::path::PathBuf::from(after(victim.wait_for_line("data=", LIMIT).await, "data="));
    let port: u16 = after(victim.wait_for_line("port=", LIMIT).await, "port=").parse().unwrap();
    assert!(data.exists());
    victim.kill9();
    until(LIMIT, "the broker and its files to go", || async {
        let gone = !data.exists() && tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err();
        gone.then_some(())
    })
    .await;
}
