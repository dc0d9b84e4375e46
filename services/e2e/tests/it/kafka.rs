//! The log on Kafka: the same statements, the same answers.

use upwrite_e2e::{Log, Options, World};

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
        world.finish().await;
    }
}
