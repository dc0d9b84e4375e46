//! The log on Kafka: the same statements, the same answers; and what goes out to the topics of records.

use std::process::Stdio;

use upwrite_e2e::{LIMIT, Log, Options, World};
use upwrite_testkit::kafka::tool;
use upwrite_testkit::until;

#[tokio::test(flavor = "multi_thread")]
async fn one_statement_through_every_stage_on_kafka() {
    for registry in [true, false] {
        let log = Log::Kafka { registry };
        let mut world = World::start(Options { log, ..Options::default() }).await;
        let client = world.client().await;
        let sql = "insert into salesforce.contact (last_name, email) values ('Kafka', 'k@example.com') returning id";
        let id: String = client.query_one(sql, &[]).await.unwrap().get(0);
        assert!(id.starts_with("003"), "{id}");
        world.kill_and_restart().await;
        let client = world.client().await;
        let sql = "update salesforce.contact set title = 'Broker' where id = $1";
        assert_eq!(client.execute(sql, &[&id]).await.unwrap(), 1);
        let upstream = world.sandbox.records("Contact").await.unwrap();
        assert!(upstream.iter().any(|record| record["Id"] == *id && record["Title"] == "Broker"));
        assert_eq!(client.execute("delete from salesforce.contact where id = $1", &[&id]).await.unwrap(), 1);
        until(LIMIT, "the outbox to be empty", || async {
            let count = sqlx::query_scalar("select count(*) from upwrite.outbox").fetch_one(&world.admin);
            (count.await.unwrap_or(1_i64) == 0).then_some(())
        })
        .await;
        assert_published(&world, &id);
        world.finish().await;
    }
}

/// Inserted, updated and deleted: that many versions, the last one a tombstone.
fn assert_published(world: &World, id: &str) {
    let kafka = world.kafka.as_ref().expect("the log is on Kafka");
    let topic = format!("{}.records.salesforce.contact", kafka.topic_prefix);
    let mut command = tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    command.args(["--bootstrap-server", &kafka.bootstrap, "--topic", &topic, "--from-beginning"]);
    command.args(["--isolation-level", "read_committed", "--timeout-ms", "5000"]);
    command.args(["--property", "print.key=true", "--property", "print.headers=true"]);
    command.args(["--property", "null.literal=gone"]);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // Headers, key, value, with tabs between.
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.splitn(3, '\t').collect()).collect();
    let ours: Vec<_> = lines.iter().filter(|parts| parts.get(1) == Some(&id)).collect();
    let version = |parts: &[&str]| {
        let header = parts[0].split(',').find_map(|header| header.strip_prefix("upwrite-version:"));
        header.and_then(|version| version.parse::<i64>().ok()).expect("a version")
    };
    let versions: Vec<i64> = ours.iter().map(|parts| version(parts)).collect();
    assert!(versions.len() >= 3, "{versions:?} of {} records", lines.len());
    let rising: Vec<i64> = (1..).take(versions.len()).collect();
    assert_eq!(versions, rising, "each version once and in order");
    let (last, before) = ours.split_last().expect("there are some");
    assert_eq!(last[2], "gone");
    assert!(before.iter().all(|parts| parts[2] != "gone"));
}
