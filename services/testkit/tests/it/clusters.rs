use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::until;

/// Nothing that is waited for takes longer on a busy machine, where several clusters are made at once.
const LIMIT: Duration = Duration::from_secs(90);

async fn count(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query("SELECT count(*) FROM t").fetch_one(&mut connection).await.unwrap().get(0)
}

#[tokio::test]
async fn commits_survive_kill_and_restart_on_the_same_port() {
    let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
    let url = cluster.superuser_url(&cluster.create_database().await);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").execute(&mut connection).await.unwrap();
    cluster.kill9().await;
    assert!(PgConnection::connect(&url).await.is_err(), "killed, and yet it accepts");
    cluster.restart().await;
    assert_eq!(count(&url).await, 1);
    cluster.stop().await;
    assert!(PgConnection::connect(&url).await.is_err(), "stopped, and yet it accepts");
    cluster.restart().await;
    assert_eq!(count(&url).await, 1);
}

#[tokio::test]
async fn passwords_are_checked_and_settings_take_effect() {
    let settings = vec![("max_connections".to_owned(), "17".to_owned())];
    let cluster = Cluster::start(Options { fsync: false, settings }).await;
    assert!(PgConnection::connect(&cluster.url("postgres", "postgres", "wrong")).await.is_err());
    let mut connection = PgConnection::connect(&cluster.superuser_url("postgres")).await.unwrap();
    let shown: String = sqlx::query("SHOW max_connections").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(shown, "17");
}

#[tokio::test]
async fn a_setting_the_server_refuses_is_reported_with_its_log() {
    let settings = vec![("max_connections".to_owned(), "many".to_owned())];
    let started = tokio::task::spawn_blocking(|| Cluster::start_blocking(Options { fsync: false, settings })).await;
    let Err(error) = started.unwrap() else { panic!("it started") };
    assert!(format!("{error:#}").contains("max_connections"), "{error:#}");
}

#[tokio::test]
async fn a_dropped_cluster_leaves_nothing() {
    let cluster = Cluster::start(Options::default()).await;
    let (home, url) = (cluster.socket_dir().to_owned(), cluster.superuser_url("postgres"));
    drop(cluster);
    assert!(!home.exists());
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn shared_databases_are_fresh() {
    let (one, two) = (Cluster::shared().await, Cluster::shared().await);
    assert_eq!(one.port(), two.port());
    assert_ne!(one.create_database().await, two.create_database().await);
}

/// This test runs itself in a second process, has that start a cluster, kills it, and looks for leftovers.
#[tokio::test]
async fn a_killed_test_process_leaves_nothing() {
    const VICTIM: &str = "UPWRITE_TESTKIT_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        let cluster = Cluster::start(Options::default()).await;
        println!("home={}", cluster.socket_dir().display());
        return std::future::pending().await;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "clusters::a_killed_test_process_leaves_nothing", "--nocapture"]).env(VICTIM, "1");
    let victim = upwrite_testkit::process::Process::spawn(command);
    let line = victim.wait_for_line("home=", LIMIT).await;
    let home = std::path::PathBuf::from(line.split_once("home=").unwrap().1);
    let pid_file = std::fs::read_to_string(home.join("data/postmaster.pid")).unwrap();
    let postmaster = std::path::PathBuf::from(format!("/proc/{}", pid_file.lines().next().unwrap()));
    assert!(postmaster.exists());
    victim.kill9();
    until(LIMIT, "the server and its files to go", || async { (!home.exists() && !postmaster.exists()).then_some(()) })
        .await;
}
