//! The log on Kafka: the same statements, the same answers; and what goes out to the topics of records.

use upwrite_e2e::{Log, Options, Published, World};

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
        world.published().await;
        assert_published(&world, &id);
        world.finish().await;
    }
}

/// Inserted, updated and deleted: that many versions, the last one a tombstone.
fn assert_published(world: &World, id: &str) {
    let all = world.kafka.as_ref().expect("the log is on Kafka").published("salesforce.contact");
    let ours: Vec<&Published> = all.iter().filter(|record| record.key == id).collect();
    let versions: Vec<i64> = ours.iter().map(|record| record.version).collect();
    assert!(versions.len() >= 3, "{versions:?} of {} records", all.len());
    let rising: Vec<i64> = (1..).take(versions.len()).collect();
    assert_eq!(versions, rising, "each version once and in order");
    let (last, before) = ours.split_last().expect("there are some");
    assert!(last.gone && before.iter().all(|record| !record.gone), "{ours:?}");
}
