//! What is particular to the Postgres engine.

use std::time::Instant;

use upwrite_event_log::{Config, EventLog as _};

use super::harness::PostgresHarness;
use crate::harness::Harness as _;
use crate::sample::{accepted, noted, partition, submission};

#[tokio::test]
async fn thin() {
    let harness = PostgresHarness::shared().await;
    let log = harness.open(Config::default()).await;
    let positions = log.append(partition(0), vec![noted("a"), noted("b")]).await.unwrap();
    assert_eq!(positions.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1]);
    harness.set_version("x", Some(3)).await;
    accepted(log.submit(submission(&harness.table(), &[("x", Some(3))])).await.unwrap());
    let started = Instant::now();
    for n in 0..200 {
        let key = format!("k{n}");
        accepted(log.submit(submission(&harness.table(), &[(&key, None)])).await.unwrap());
    }
    println!("submit {:?}", started.elapsed() / 200);
    let started = Instant::now();
    for _ in 0..200 {
        log.append(partition(0), vec![noted("a")]).await.unwrap();
    }
    println!("append {:?}", started.elapsed() / 200);
}
