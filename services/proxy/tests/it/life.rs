//! Postgres that goes away and comes back; the proxy that is shut down.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::until;

use crate::site::{Site, is_away};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn postgres_away_is_said_and_recovered_from() {
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(Options::default()).await));
    let site = Site::on(cluster, |_| {}).await;
    let client = site.client().await;
    cluster.kill9().await;
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert!(error.code().is_none_or(|code| ["57P01", "57P02", "08006"].contains(&code.code())), "{error}");
    assert!(is_away(site.try_client().await.err()));
    cluster.restart().await;
    let back = || async { site.try_client().await.ok() };
    let client = until(LIMIT, "the proxy to recover", back).await;
    client.simple_query("SELECT 1").await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn shutdown_ends_idle_sessions_and_lets_the_others_finish() {
    let site = Site::new().await;
    let (idle, busy) = (site.client().await, site.client().await);
    let running = busy.query_one("SELECT 7 FROM pg_catalog.pg_sleep(0.5)", &[]);
    let shutdown = async {
        site.wait_for_activity("pg_sleep(0.5)").await;
        site.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(running, shutdown);
    assert_eq!(answer.unwrap().get::<_, i32>(0), 7);
    let error = idle.simple_query("SELECT 1").await.unwrap_err();
    assert!(error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN), "{error}");
    let drained = || async { site.serving.is_finished().then_some(()) };
    until(LIMIT, "the proxy to drain", drained).await;
    assert!(tokio::net::TcpStream::connect(site.address).await.is_err());
}
