//! What an append and a submission cost, beside the floor: one insert of the same bytes with its commit, on the same
//! machine, in turns. `cargo run -p upwrite-event-log --example latency [rounds]`

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Claim, ClaimKey, Config, EventLog as _, PostgresLog, Submission, Submitted, VersionCheck};
use upwrite_events::{
    Event, MutationId, MutationRequested, MutationVoided, Op, Partition, Position, Row, RowChange, Stream, TableName,
    decode, encode,
};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::schema;
use uuid::Uuid;

const TABLE: &str = r#"
    insert into upwrite.deployment values (default, gen_random_uuid(), 'bench', 'postgres', 4);
    create schema crm authorization upwrite_owner;
    create table crm.contact (id text primary key, _version bigint not null);
    alter table crm.contact owner to upwrite_owner;
    insert into upwrite.tables (relation, source, table_name, spec)
    values ('crm.contact'::regclass, 'crm', 'contact', '{"key": "id"}');
    create table floor (n bigserial primary key, value bytea);"#;

fn submission(rows: usize) -> Submission {
    let (table, mutation) = (TableName::new("crm", "contact"), MutationId(Uuid::now_v7()));
    let key = |row: usize| format!("pending:{}-{row}", mutation.0);
    let column = |n: usize| (format!("column_{n}"), Some(format!("value {n}")));
    let change = |row| RowChange {
        table: table.clone(),
        op: Op::Insert,
        key: key(row),
        version: None,
        changed: (0..5).map(column).collect::<Row>(),
        old: Row::new(),
    };
    Submission {
        claims: (0..rows)
            .map(|row| Claim { table: table.clone(), key: ClaimKey(format!("id={}", key(row))) })
            .collect(),
        versions: (0..rows).map(|row| VersionCheck { table: table.clone(), key: key(row), version: None }).collect(),
        request: MutationRequested::new(mutation, (0..rows).map(change).collect()).from_client("app", "alice", "bench"),
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:<44} p50 {:>10.1?}  p99 {:>10.1?}", at(50), at(99));
}

fn codec(rows: usize, rounds: u32) -> Result<()> {
    let event = Event::MutationRequested(submission(rows).request);
    let bytes = encode(&event)?;
    let started = Instant::now();
    for _ in 0..rounds {
        encode(&event)?;
    }
    let encoding = started.elapsed() / rounds;
    let started = Instant::now();
    for _ in 0..rounds {
        decode(&bytes)?;
    }
    println!("codec, {rows} rows, {} bytes: encode {encoding:?}, decode {:?}", bytes.len(), started.elapsed() / rounds);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(1000), |rounds| rounds.parse())?;
    codec(1, 1000)?;
    codec(500, 20)?;

    let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
    let database = cluster.create_database().await;
    let mut floor = schema::migrate(&cluster.superuser_url(&database)).await;
    sqlx::raw_sql(TABLE).execute(&mut floor).await?;
    let pool =
        PgPoolOptions::new().connect_lazy(&cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD))?;
    let log = PostgresLog::open(pool, Config::default(), CancellationToken::new()).await?;
    let partition = Partition { stream: Stream::Mutations, number: 0 };
    let mut consumer = log.subscribe(partition, Position::START);

    let value = encode(&Event::MutationRequested(submission(1).request))?;
    let (mut bare, mut appended, mut seen, mut submitted, mut five_hundred) = (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let started = Instant::now();
        sqlx::query("insert into floor (value) values ($1)").bind(&value).execute(&mut floor).await?;
        bare.push(started.elapsed());

        let event =
            Event::MutationVoided(MutationVoided { mutation: MutationId(Uuid::now_v7()), reason: "x".repeat(300) });
        let started = Instant::now();
        log.append(partition, vec![event]).await?;
        appended.push(started.elapsed());
        consumer.next().await;
        seen.push(started.elapsed());

        let wish = submission(1);
        let started = Instant::now();
        let answer = log.submit(wish).await?;
        submitted.push(started.elapsed());
        assert!(matches!(answer, Submitted::Accepted { .. }), "{answer:?}");
        if let Submitted::Accepted { partition: home, .. } = answer
            && home == partition
        {
            consumer.next().await;
        }

        if round % 20 == 0 {
            let wish = submission(500);
            let started = Instant::now();
            let answer = log.submit(wish).await?;
            five_hundred.push(started.elapsed());
            if let Submitted::Accepted { partition: home, .. } = answer
                && home == partition
            {
                consumer.next().await;
            }
        }
    }
    show("floor: bare insert + commit", bare);
    show("append", appended);
    show("append, seen by a consumer of the process", seen);
    show("submit, 1 row (claim, version, request)", submitted);
    show("submit, 500 rows", five_hundred);
    Ok(())
}
