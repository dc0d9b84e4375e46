//! A database, a stand-in upstream, and the applier between them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use sqlx::types::Json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upwrite_applier::{ApplierError, ApplierStatus, Config, PartitionState};
use upwrite_connectors::salesforce::{self, Auth, ObjectConfig, Salesforce};
use upwrite_connectors::{Budget, Connector, Secret, install_crypto_provider};
use upwrite_event_log::{
    BootClock, Clock as _, Config as LogConfig, EventLog, GroupConfig, Membership, PgMembership, PostgresLog,
    SoleMember, Submission, Submitted, partition_for,
};
use upwrite_events::{
    Event, Lifecycle, MutationId, MutationRequested, Op, Partition, PartitionFold, Position, Row, RowChange, Stream,
    TableName,
};
use upwrite_sandbox::salesforce as stand_in;
use upwrite_sandbox::{Fault, FaultMatch, FaultRule, Options, Running as Upstream, Sandbox};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema::{SERVICE_PASSWORD, install};
use uuid::Uuid;

const PARTITIONS: u16 = 2;
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Bench {
    pub(super) sandbox: Upstream<stand_in::Salesforce>,
    connector: Arc<Salesforce>,
    pool: PgPool,
    superuser: PgPool,
    log: Arc<PostgresLog>,
    shutdown: CancellationToken,
}

pub(super) struct Running {
    task: JoinHandle<Result<(), ApplierError>>,
    shutdown: CancellationToken,
    status: watch::Receiver<ApplierStatus>,
}

impl Running {
    /// Until it says that it owns so many partitions.
    pub(super) async fn owns(&mut self, count: usize) {
        let owned = |status: &ApplierStatus| {
            status.partitions.iter().filter(|at| at.state == PartitionState::Owner).count() == count
        };
        let waited = tokio::time::timeout(LIMIT, self.status.wait_for(owned)).await;
        assert!(matches!(waited, Ok(Ok(_))), "{count} partitions are not owned: {:?}", self.task.is_finished());
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Where a mutation is.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    mutation: MutationId,
    partition: Partition,
}

impl Bench {
    pub(super) async fn start() -> Self {
        install_crypto_provider();
        let sandbox = Sandbox::start(Options::default(), stand_in::Salesforce::default()).await.unwrap();
        let auth = Auth::ClientCredentials {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
        };
        let objects = vec![ObjectConfig::new("Contact").with_idempotency_field("UpwriteKey__c")];
        let mut config = salesforce::Config::new(&sandbox.base_url, auth, objects);
        config.request_timeout = Duration::from_secs(2);
        config.connect_timeout = Duration::from_secs(1);
        config.late_effect = Duration::from_secs(3);
        let connector = Arc::new(Salesforce::new(config, Budget::new(None)).unwrap());
        let tables = connector.discover().await.unwrap();
        let tables: Vec<String> = tables.iter().map(|table| serde_json::to_string(table).unwrap()).collect();

        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        install(&cluster.superuser_url(&database), &tables, PARTITIONS).await;
        let pool = |url: String| PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
        let superuser = pool(cluster.superuser_url(&database));
        let pool = pool(cluster.url(&database, "upwrite_service", SERVICE_PASSWORD));
        let shutdown = CancellationToken::new();
        let log = PostgresLog::open(pool.clone(), LogConfig::default(), shutdown.clone()).await.unwrap();
        Self { sandbox, connector, pool, superuser, log, shutdown }
    }

    pub(super) async fn run(&self) -> Running {
        self.join(Box::new(SoleMember::new(self.log.partitions())))
    }

    /// One of several.
    pub(super) fn run_in_group(&self) -> Running {
        let options = self.pool.connect_options().as_ref().clone();
        let never = CancellationToken::new();
        self.join(Box::new(PgMembership::join(
            options,
            "applier",
            self.log.partitions(),
            GroupConfig::default(),
            never,
        )))
    }

    fn join(&self, membership: Box<dyn Membership>) -> Running {
        let shutdown = CancellationToken::new();
        let (sender, status) = watch::channel(ApplierStatus::default());
        let connector: Arc<dyn Connector> = self.connector.clone();
        let connectors = HashMap::from([("salesforce".to_owned(), connector)]);
        let config = Config { lease: Duration::from_secs(6), status: Some(sender), ..Config::default() };
        let run = upwrite_applier::run(
            config,
            self.log.clone(),
            membership,
            self.pool.clone(),
            connectors,
            HashMap::new(),
            shutdown.clone(),
        );
        #[allow(clippy::disallowed_methods, reason = "the process that runs it")]
        let task = tokio::spawn(run);
        Running { task, shutdown, status }
    }

    pub(super) fn fault(&self, op: &str, fault: Fault) {
        self.fault_after(op, 0, fault);
    }

    /// On the request that comes after `skip` others.
    pub(super) fn fault_after(&self, op: &str, skip: u64, fault: Fault) {
        let matching = FaultMatch { op: Some(op.to_owned()), ..FaultMatch::default() };
        self.sandbox.add_fault(FaultRule { skip, ..FaultRule::once(matching, fault) }).unwrap();
    }

    /// A new contact, in that partition.
    pub(super) async fn ask_in(&self, number: u16, last_name: &str) -> Asked {
        let there =
            |row: &RowChange| partition_for(Stream::Mutations, &row.table, &row.key, PARTITIONS).number == number;
        let row = std::iter::repeat_with(|| contact(last_name)).find(there).expect("endless");
        self.ask(vec![row]).await
    }

    pub(super) async fn ask(&self, rows: Vec<RowChange>) -> Asked {
        let mutation = MutationId(Uuid::now_v7());
        let now_us = BootClock::new().unwrap().unix_us();
        let request = MutationRequested::new(mutation, rows).at(now_us).from_client("app", "ann", "test");
        let submission = Submission { claims: Vec::new(), versions: Vec::new(), request };
        match self.log.submit(submission).await.unwrap() {
            Submitted::Accepted { partition, .. } => Asked { mutation, partition },
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn finished(&self, asked: Asked) -> Lifecycle {
        self.until(asked, |life| life.phase.is_finished()).await
    }

    pub(super) async fn released(&self, asked: Asked) -> Lifecycle {
        self.until(asked, Lifecycle::is_released).await
    }

    pub(super) async fn until(&self, asked: Asked, wanted: impl Fn(&Lifecycle) -> bool) -> Lifecycle {
        let mut fold = PartitionFold::default();
        let mut log = self.log.subscribe(asked.partition, Position::START);
        let wait = async {
            while let Some(batch) = futures::StreamExt::next(&mut log).await {
                for record in batch.unwrap() {
                    fold.apply(record.position, &record.event.unwrap()).unwrap();
                    if let Some(life) = fold.get(asked.mutation).filter(|life| wanted(life)) {
                        return Some(life.clone());
                    }
                }
            }
            None
        };
        match tokio::time::timeout(LIMIT, wait).await {
            Ok(life) => life.expect("the log goes on"),
            Err(_) => panic!("not reached; log: {:?}", self.events().await.iter().map(Event::name).collect::<Vec<_>>()),
        }
    }

    /// The row as the outcome shows it.
    pub(super) async fn image(&self, asked: Asked) -> Option<Row> {
        self.events().await.into_iter().find_map(|event| match event {
            Event::MutationApplied(applied) if applied.mutation == asked.mutation => applied.rows[0].image.clone(),
            _ => None,
        })
    }

    pub(super) async fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for number in 0..PARTITIONS {
            let partition = Partition { stream: Stream::Mutations, number };
            let records = self.log.read(partition, Position::START, 10_000).await.unwrap();
            events.extend(records.into_iter().map(|record| record.event.unwrap()));
        }
        events
    }

    /// What the reconciler would have written by now, as far as the applier reads it.
    pub(super) async fn project(&self) {
        for number in 0..PARTITIONS {
            let partition = Partition { stream: Stream::Mutations, number };
            let records = self.log.read(partition, Position::START, 10_000).await.unwrap();
            let mut fold = PartitionFold::default();
            for record in &records {
                fold.apply(record.position, record.event.as_ref().unwrap()).unwrap();
            }
            sqlx::query(
                "/* test.position */ insert into upwrite.positions (stream, partition, next_position, owner) \
                 values ('mutations', $1, $2, $3) \
                 on conflict (stream, partition) do update set next_position = $2, owner = $3",
            )
            .bind(number as i16)
            .bind(records.len() as i64)
            .bind(fold.owner().map(|owner| owner.0))
            .execute(&self.superuser)
            .await
            .unwrap();
            for (mutation, life) in fold.iter() {
                self.project_one(number, mutation, life).await;
            }
        }
    }

    async fn project_one(&self, number: u16, mutation: MutationId, life: &Lifecycle) {
        sqlx::query(
            "/* test.mutation */ insert into upwrite.mutations (id, state, source, table_name, operation, row_count, \
             database, username, application_name, requested_at, partition, position, lifecycle, released) \
             values ($1, $2, 'salesforce', 'contact', 'insert', 1, 'app', 'ann', 'test', now(), $3, $4, $5, $6)",
        )
        .bind(mutation.0)
        .bind(life.phase.as_str())
        .bind(number as i16)
        .bind(life.position.0)
        .bind(Json(life))
        .bind(life.is_released())
        .execute(&self.superuser)
        .await
        .unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn named(last_name: &str) -> Row {
    Row::from([("last_name".to_owned(), Some(last_name.to_owned()))])
}

/// A new contact.
pub(super) fn contact(last_name: &str) -> RowChange {
    RowChange {
        table: TableName::new("salesforce", "contact"),
        op: Op::Insert,
        key: format!("pending:{}", Uuid::new_v4()),
        version: None,
        changed: named(last_name),
        old: Row::new(),
    }
}

pub(super) fn contact_update(id: &str, from: &str, to: &str) -> RowChange {
    RowChange {
        table: TableName::new("salesforce", "contact"),
        op: Op::Update,
        key: id.to_owned(),
        version: Some(1),
        changed: named(to),
        old: named(from),
    }
}
