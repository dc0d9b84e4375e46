//! The floor: the least that the promises of a held write cost on this machine. Three steps, one after the other, each as
//! short as it can be: a claim and a request, durable, as the log writes them; somebody else's consumer sees the request;
//! one commit shows the row, the status and the position, and ends the claim.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::{CancellationToken, DropGuard};
use upwrite_e2e::World;
use upwrite_event_log::{
    Claim, ClaimKey, Config, Engine, EventLog, KafkaConfig, Notifier, Submission, Submitted, Subscription, kafka,
};
use upwrite_events::{MutationId, MutationRequested, Op, Partition, RowChange, Stream, TableName};
use upwrite_testkit::{postgres::Cluster, postgres::Options, schema};

/// One statement, as short as it can be: of a row with all its columns and indexes, as upstream answered.
const RECONCILE: &str = "/* floor.reconcile */
    with shown as (
        insert into salesforce.contact select * from jsonb_populate_record(null::salesforce.contact, $1)),
    finished as (
        insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
            application_name, requested_at, finished_at, partition, position, lifecycle, released)
        values ($2, 'applied', 'salesforce', 'contact', 'insert', 1, 'floor', 'floor', '', now(), now(), 0, 0, '{}', true)),
    moved as (
        update upwrite.positions set next_position = next_position + 1 where stream = 'mutations' and partition = 0)
    delete from upwrite.claims where mutation = $2";

/// A log of its own on the same kind of components, with nobody else at work on it.
pub(crate) struct Floor {
    log: Arc<dyn EventLog>,
    consumer: Subscription,
    reconciler: PgConnection,
    /// What upstream answers.
    row: serde_json::Value,
    count: u64,
    _stop: DropGuard,
    _cluster: Cluster,
}

impl Floor {
    pub(crate) async fn start(world: &World) -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
        let database = cluster.create_database().await;
        let url = cluster.superuser_url(&database);
        let (spec, row) = contact(&world.admin).await?;
        schema::install(&url, &[spec], 1).await;
        let mut superuser = PgConnection::connect(&url).await?;
        sqlx::query("insert into upwrite.positions (stream, partition) values ('mutations', 0)")
            .execute(&mut superuser)
            .await?;
        let engine = match &world.kafka {
            None => Engine::Postgres(Config::default()),
            Some(brokers) => {
                let config = KafkaConfig {
                    topic_prefix: "floor".to_owned(),
                    replication: 1,
                    min_insync: 1,
                    ..KafkaConfig::new(&brokers.bootstrap)
                };
                kafka::prepare(&config, 1, &[]).await?;
                sqlx::query("update upwrite.deployment set log_engine = 'kafka'").execute(&mut superuser).await?;
                Engine::Kafka(config)
            }
        };
        let stop = CancellationToken::new();
        let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
        let open = async || {
            let pool = PgPoolOptions::new().max_connections(4).connect(&service).await?;
            let notifier = Notifier::start(&pool, stop.clone());
            anyhow::Ok(upwrite_event_log::open(engine.clone(), pool, notifier, stop.clone()).await?)
        };
        let (log, another) = (open().await?, open().await?);
        let partition = Partition { stream: Stream::Mutations, number: 0 };
        let consumer = another.subscribe(partition, another.end(partition).await?);
        let reconciler = cluster.url(&database, "upwrite_reconciler", schema::RECONCILER_PASSWORD);
        let reconciler = PgConnection::connect(&reconciler).await?;
        Ok(Self { log, consumer, reconciler, row, count: 0, _stop: stop.drop_guard(), _cluster: cluster })
    }

    /// One of each; how long they took together.
    pub(crate) async fn once(&mut self) -> anyhow::Result<Duration> {
        self.count += 1;
        let (mutation, key) = (MutationId(uuid::Uuid::now_v7()), format!("003F{:014}", self.count));
        self.row["id"] = key.clone().into();
        self.row["upwrite_key__c"] = key.clone().into();
        let submission = submission(mutation, &key);
        let begun = Instant::now();
        // The consumer may see it before the log's own answer: whoever comes last.
        let (submitted, seen) = tokio::join!(self.log.submit(submission), self.consumer.next());
        anyhow::ensure!(matches!(submitted?, Submitted::Accepted { .. }), "the floor's claim was refused");
        seen.ok_or_else(|| anyhow::anyhow!("the floor's consumer ended"))??;
        sqlx::query(RECONCILE).bind(&self.row).bind(mutation.0).execute(&mut self.reconciler).await?;
        Ok(begun.elapsed())
    }
}

/// The specification of the table that is measured, and a row of it.
async fn contact(world: &PgPool) -> anyhow::Result<(String, serde_json::Value)> {
    let contact = sqlx::query_as(
        "select (select spec::text from upwrite.tables where source = 'salesforce' and table_name = 'contact'),
                (select to_jsonb(c) from salesforce.contact c limit 1)",
    );
    Ok(contact.fetch_one(world).await?)
}

/// As the proxy makes it of the statement that is measured.
fn submission(mutation: MutationId, key: &str) -> Submission {
    let table = TableName::new("salesforce", "contact");
    let value = |text: &str| Some(text.to_owned());
    let changed = [("first_name", "Bench"), ("last_name", "Mark"), ("email", "bench@example.com")];
    let row = RowChange {
        table: table.clone(),
        op: Op::Insert,
        key: format!("pending:{key}"),
        version: None,
        changed: changed.map(|(column, text)| (column.to_owned(), value(text))).into(),
        old: upwrite_events::Row::new(),
    };
    let request = MutationRequested::new(mutation, vec![row]).from_client("floor", "floor", "");
    let claim = Claim { table, key: ClaimKey(format!("id=pending:{key}")) };
    Submission { claims: vec![claim], versions: Vec::new(), request }
}
