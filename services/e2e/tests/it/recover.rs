//! A database and a log that do not belong together: nothing starts, until an operator has taken stock.

use std::process::Command;

use sqlx::AssertSqlSafe;
use upwrite_e2e::{LIMIT, Log, Options, World};
use upwrite_testkit::process::Process;
use upwrite_testkit::{free_port, schema};

/// Hazard B11: restored or promoted, the database writes on another timeline.
#[tokio::test(flavor = "multi_thread")]
async fn b11_another_timeline_is_refused_until_it_is_recovered() {
    refused_until_recovered(Log::Postgres, "timeline = timeline + 1", "timeline").await;
}

/// Hazard B11: the brokers are those of another cluster.
#[tokio::test(flavor = "multi_thread")]
async fn b11_another_kafka_cluster_is_refused_until_it_is_recovered() {
    refused_until_recovered(Log::Kafka { registry: false }, "log_cluster = 'another'", "cluster another").await;
}

/// The deployment is recorded as another one than is here, as it would be after such an accident.
async fn refused_until_recovered(log: Log, recorded: &str, told: &str) {
    let port = free_port();
    let more = format!("[control]\nlisten = \"127.0.0.1:{port}\"\n");
    let mut world = World::start(Options { log, more, ..Options::default() }).await;
    let insert = "insert into salesforce.contact (last_name) values ('Before') returning id";
    let id: String = world.client().await.query_one(insert, &[]).await.unwrap().get(0);
    world.settled().await;
    world.upwrite.sigterm();
    assert!(world.upwrite.wait_exit(LIMIT).await.success());
    let sql = sqlx::AssertSqlSafe(format!("update upwrite.deployment set {recorded}"));
    sqlx::query(sql).execute(&world.admin).await.unwrap();

    let refused = Process::spawn(world.command("run"));
    refused.wait_for_line(told, LIMIT).await;
    assert!(!refused.wait_exit(LIMIT).await.success());

    let control = Process::spawn(world.command("control"));
    control.wait_for_line("ready", LIMIT).await;
    let recovered = ctl(&world, &["recover", "--yes"]).output().unwrap();
    let shown = String::from_utf8_lossy(&recovered.stdout).into_owned();
    assert!(recovered.status.success(), "{shown}{}", String::from_utf8_lossy(&recovered.stderr));
    control.sigterm();
    assert!(control.wait_exit(LIMIT).await.success());

    world.restart().await;
    world.backfilled().await;
    let update = "update salesforce.contact set last_name = 'After' where id = $1";
    assert_eq!(world.client().await.execute(update, &[&id]).await.unwrap(), 1);
    let upstream = world.sandbox.records("Contact").await.unwrap();
    assert_eq!(upstream.iter().filter(|record| record["LastName"] == "After").count(), 1);
    assert!(!upstream.iter().any(|record| record["LastName"] == "Before"));
    world.finish().await;
}

/// What somebody damaged around Upwrite is put right from the log, while writes go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_projections_are_rebuilt_from_either_log() {
    for log in [Log::Postgres, Log::Kafka { registry: true }] {
        let port = free_port();
        let more = format!("[control]\nlisten = \"127.0.0.1:{port}\"\n");
        let world = World::start(Options { log, more, ..Options::default() }).await;
        let client = world.client().await;
        for n in 0..20 {
            let sql = format!("insert into salesforce.contact (last_name) values ('Rebuilt {n}')");
            client.batch_execute(&sql).await.unwrap();
        }
        client
            .batch_execute("update salesforce.contact set title = 'Right' where last_name = 'Rebuilt 7'")
            .await
            .unwrap();
        world.settled().await;
        let (table, mutations) = contents(&world).await;
        let mut damage = world.admin.acquire().await.unwrap();
        let sql = format!(
            "set session_replication_role = replica;
             {}
             update salesforce.contact set title = 'Wrong' where last_name in ('Rebuilt 3', 'Rebuilt 7');
             delete from salesforce.contact where last_name = 'Rebuilt 11';
             {}
             update upwrite.mutations set state = 'requested', finished_at = null
              where id in (select id from upwrite.mutations limit 5);
             reset session_replication_role",
            schema::unguarded("salesforce.contact"),
            schema::guarded("salesforce.contact")
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *damage).await.unwrap();
        drop(damage);
        assert_ne!(contents(&world).await, (table.clone(), mutations.clone()), "that was damage");

        let writing = tokio::spawn(async move {
            client.batch_execute("update salesforce.account set name = 'Meanwhile'").await.unwrap();
        });
        for what in [&["rebuild", "--table", "salesforce.contact"][..], &["rebuild", "--projections"]] {
            let rebuilt = ctl(&world, what).output().unwrap();
            assert!(rebuilt.status.success(), "{what:?} {}", String::from_utf8_lossy(&rebuilt.stderr));
        }
        writing.await.unwrap();
        assert_eq!(contents(&world).await, (table, mutations), "{log:?}");
        world.finish().await;
    }
}

/// The table but for what counts its versions, and the mutations of the table.
async fn contents(world: &World) -> (Vec<String>, Vec<String>) {
    let table =
        "select array_agg((to_jsonb(c) - '_version' - '_synced_at')::text order by id) from salesforce.contact c";
    let mutations = "select array_agg(concat_ws(' ', id, state, keys, finished_at is null) order by id)
                       from upwrite.mutations where table_name = 'contact'";
    (world.value(table).await.unwrap(), world.value(mutations).await.unwrap())
}

fn ctl(world: &World, args: &[&str]) -> Command {
    let mut command = world.command("ctl");
    command.args(args);
    command
}
