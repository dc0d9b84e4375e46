//! Stands for applier, upstream and reconciler: takes mutations from the real log, and does to the table what upstream
//! would say.
//!
//! What it does depends on a row's `last_name`: `Refused` is refused; `Slow` waits for [`Upstream::release`]; `Zero` gets
//! `n = 0` instead of what was asked for; all else is applied as it is, and an inserted row gets the next id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use upwrite_event_log::{EventLog as _, PostgresLog};
use upwrite_events::{
    AppliedRow, ErrorClass, Event, Failure, Interval, MutationApplied, MutationRejected, MutationRequested,
    MutationRevoked, Op, Outcome, OwnerId, Partition, PartitionFold, PartitionTaken, Position, RowChange, Stream,
};
use upwrite_proxy::Config;
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;
use uuid::Uuid;

use crate::site::{Site, control, prepare};

pub(crate) struct Upstream {
    pub(crate) site: Site,
    world: Arc<World>,
    _stop: DropGuard,
}

struct World {
    cluster: &'static Cluster,
    database: String,
    log: Arc<PostgresLog>,
    slow: Semaphore,
    next_id: AtomicU32,
    requests: AtomicU32,
}

const OWNER: OwnerId = OwnerId(Uuid::from_u128(1));

impl Upstream {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let cluster = Cluster::shared().await;
        let database = cluster.create_database().await;
        prepare(cluster, &database).await;
        let stop = CancellationToken::new();
        let pool = control(cluster, &database);
        let log = PostgresLog::open(pool, upwrite_event_log::Config::default(), stop.clone()).await.unwrap();
        let site = Site::serve(cluster, database.clone(), log.clone(), change).await;
        let world = Arc::new(World {
            cluster,
            database,
            log,
            slow: Semaphore::new(0),
            next_id: AtomicU32::new(1),
            requests: AtomicU32::new(0),
        });
        for number in 0..world.log.partitions() {
            let partition = Partition { stream: Stream::Mutations, number };
            tokio::spawn(stop.clone().run_until_cancelled_owned(follow(world.clone(), partition)));
        }
        Self { site, world, _stop: stop.drop_guard() }
    }

    /// Lets one slow mutation go on.
    pub(crate) fn release(&self) {
        self.world.slow.add_permits(1);
    }

    /// Mutations that were requested so far.
    pub(crate) fn requests(&self) -> u32 {
        self.world.requests.load(Ordering::SeqCst)
    }
}

async fn follow(world: Arc<World>, partition: Partition) {
    let mut fold = PartitionFold::default();
    let taken = PartitionTaken { owner: OWNER, process: String::new(), lease_ms: 1 };
    fold.apply(Position::START, &Event::PartitionTaken(taken)).unwrap();
    let mut connection =
        PgConnection::connect(&world.cluster.url(&world.database, "upwrite_reconciler", schema::RECONCILER_PASSWORD))
            .await
            .unwrap();
    let mut subscription = world.log.subscribe(partition, Position::START);
    while let Some(Ok(records)) = subscription.next().await {
        for record in records {
            let event = record.event.unwrap();
            fold.apply(record.position, &event).unwrap();
            match event {
                Event::MutationRequested(request) => {
                    world.requests.fetch_add(1, Ordering::SeqCst);
                    mutation(&world, &mut connection, &mut fold, record.position, partition, &request).await;
                }
                Event::RevocationRequested(revoke) => {
                    let revoked = MutationRevoked { mutation: revoke.mutation, owner: OWNER };
                    let _ = fold.apply(record.position, &Event::MutationRevoked(revoked));
                }
                _ => {}
            }
        }
    }
}

async fn mutation(
    world: &World,
    connection: &mut PgConnection,
    fold: &mut PartitionFold,
    position: Position,
    partition: Partition,
    request: &MutationRequested,
) {
    let named = |name: &str| {
        request.rows.iter().any(|row| row.changed.get("last_name").is_some_and(|value| value.as_deref() == Some(name)))
    };
    if named("Slow") {
        world.slow.acquire().await.unwrap().forget();
    }
    let event = if named("Refused") { refused(request) } else { applied(world, connection, request).await };
    fold.apply(position, &event).unwrap();
    let lifecycle = fold.get(request.mutation).unwrap();
    let sql = "insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
             application_name, requested_at, finished_at, partition, position, lifecycle, released)
         values ($1, $2, 'sf', 'contact', $3, $4, $5, $6, $7, now(), now(), $8, $9, $10, true)";
    sqlx::query(sql)
        .bind(request.mutation.0)
        .bind(lifecycle.phase.as_str())
        .bind(request.rows[0].op.as_str())
        .bind(request.rows.len() as i32)
        .bind(&request.database)
        .bind(&request.user)
        .bind(&request.application_name)
        .bind(partition.number as i16)
        .bind(position.0)
        .bind(serde_json::to_value(lifecycle).unwrap())
        .execute(&mut *connection)
        .await
        .unwrap();
    let id = request.mutation.0;
    sqlx::query("delete from upwrite.claims where mutation = $1").bind(id).execute(&mut *connection).await.unwrap();
    sqlx::query("select pg_notify('upwrite_verdict', $1)")
        .bind(format!("{} {id}", Uuid::new_v4()))
        .execute(&mut *connection)
        .await
        .unwrap();
}

fn refused(request: &MutationRequested) -> Event {
    let mut failure = Failure::new(ErrorClass::Check, Outcome::NotApplied, "23514", "upstream does not like the name");
    failure.schema = Some("sf".into());
    failure.table = Some("contact".into());
    failure.column = Some("last_name".into());
    Event::MutationRejected(MutationRejected {
        mutation: request.mutation,
        owner: OWNER,
        attempt: 1,
        rows: (0..request.rows.len() as u32).collect(),
        failure,
        keep_claims: false,
    })
}

async fn applied(world: &World, connection: &mut PgConnection, request: &MutationRequested) -> Event {
    let mut rows = Vec::new();
    for (index, row) in request.rows.iter().enumerate() {
        let key = match row.op {
            Op::Insert => format!("003{:012}", world.next_id.fetch_add(1, Ordering::SeqCst)),
            _ => row.key.clone(),
        };
        let mut row = row.clone();
        if row.changed.get("last_name").is_some_and(|name| name.as_deref() == Some("Zero")) {
            row.changed.insert("n".into(), Some("0".into()));
        }
        connection.execute(sqlx::AssertSqlSafe(statement(&row, &key))).await.unwrap();
        let seen = Interval { begun_us: 0, ended_us: 0 };
        rows.push(AppliedRow { row: index as u32, key, image: None, vendor_version: None, seen });
    }
    Event::MutationApplied(MutationApplied {
        mutation: request.mutation,
        owner: OWNER,
        attempt: 1,
        rows,
        keep_claims: false,
    })
}

fn statement(row: &RowChange, key: &str) -> String {
    let literal = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "NULL".to_owned(), |value| format!("'{}'", value.replace('\'', "''")))
    };
    let key = literal(&Some(key.to_owned()));
    match row.op {
        Op::Insert => {
            let columns: String = row.changed.keys().map(|name| format!(", {name}")).collect();
            let values: String = row.changed.values().map(|value| format!(", {}", literal(value))).collect();
            format!("INSERT INTO sf.contact (id, _version{columns}) VALUES ({key}, 1{values})")
        }
        Op::Update => {
            let sets: String =
                row.changed.iter().map(|(name, value)| format!(", {name} = {}", literal(value))).collect();
            format!("UPDATE sf.contact SET _version = _version + 1{sets} WHERE id = {key}")
        }
        Op::Delete => format!("DELETE FROM sf.contact WHERE id = {key}"),
    }
}
