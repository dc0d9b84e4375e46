//! The life of the process: start, drain, restart.

use serde_json::json;
use upwrite_e2e::{LIMIT, Options, World};

/// SIGTERM: the held client gets its verdict, then the process ends with 0.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains() {
    let world = World::start(Options::default()).await;
    let client = world.client().await;
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 1).await.unwrap();
    let statement = tokio::spawn(async move {
        client.execute("insert into salesforce.contact (last_name) values ('Drained')", &[]).await
    });
    world.sandbox.held(1).await.unwrap();
    world.upwrite.sigterm();
    world.upwrite.wait_for_line("draining", LIMIT).await;
    world.sandbox.release().await.unwrap();
    assert_eq!(statement.await.unwrap().unwrap(), 1);
    assert!(world.upwrite.wait_exit(LIMIT).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once_and_nothing_is_lost() {
    let mut world = World::start(Options::default()).await;
    let client = world.client().await;
    world.sandbox.fault(json!({ "object": "Contact", "op": "create" }), json!("hold"), 1).await.unwrap();
    let statement = tokio::spawn(async move {
        client.execute("insert into salesforce.contact (last_name, email) values ('Cut', 'cut@example.com')", &[]).await
    });
    world.sandbox.held(1).await.unwrap();
    world.upwrite.sigterm();
    world.upwrite.wait_for_line("draining", LIMIT).await;
    world.upwrite.sigterm();
    assert!(!world.upwrite.wait_exit(LIMIT).await.success());
    assert!(statement.await.unwrap().is_err());
    world.sandbox.release().await.unwrap();
    world.restart().await;
    let sql = "select state from upwrite.mutations where finished_at is not null order by requested_at desc limit 1";
    assert_eq!(world.wait::<String>("the verdict", sql).await, "applied");
    let copies = world.sandbox.records("Contact").await.unwrap();
    assert_eq!(copies.iter().filter(|record| record["Email"] == "cut@example.com").count(), 1);
    world.finish().await;
}

/// `upwrite setup` twice: the second time there is nothing to do, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn setup_is_idempotent() {
    let world = World::start(Options::default()).await;
    let again = world.command("setup").output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(told.contains("nothing to do"), "{told}");
    let count: i64 = world.value("select count(*) from salesforce.contact").await.unwrap();
    assert_eq!(count, 20);
    world.finish().await;
}

/// Upstream is away when Upwrite starts: it starts, says so, and goes on when upstream is there.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_away_at_start_is_said_and_recovered_from() {
    let mut world = World::start(Options::default()).await;
    world.upwrite.sigterm();
    world.upwrite.wait_exit(LIMIT).await;
    world.sandbox.fault(json!({}), json!("reset"), 5).await.unwrap();
    sqlx::query("update upwrite.tables set backfilled_at = null where table_name = 'account'")
        .execute(&world.admin)
        .await
        .unwrap();
    world.restart().await;
    world.upwrite.wait_for_line("reading upstream failed", LIMIT).await;
    world.backfilled().await;
    world.finish().await;
}
