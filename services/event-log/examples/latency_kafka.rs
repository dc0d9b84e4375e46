//! What a produce and a submission cost on Kafka, one at a time and many: `cargo run -p upwrite-event-log --example
//! latency_kafka [rounds] [option=value …]` (raw options of librdkafka, such as `linger.ms=1`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use futures::future::try_join_all;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{
    Claim, ClaimKey, EventLog as _, KafkaConfig, KafkaLog, Submission, Submitted, VersionCheck, kafka,
};
use upwrite_events::{
    Event, MutationId, MutationRequested, MutationVoided, Op, Partition, Position, Row, RowChange, Stream, TableName,
};
use upwrite_testkit::kafka::{Broker, Options as BrokerOptions, unique_prefix};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::schema;
use uuid::Uuid;

const TABLE: &str = r#"
    insert into upwrite.deployment (deployment, system_identifier, log_engine, partitions)
    values (gen_random_uuid(), 'bench', 'kafka', 4);
    create schema crm authorization upwrite_owner;
    create table crm.contact (id text primary key, _version bigint not null);
    alter table crm.contact owner to upwrite_owner;
    insert into upwrite.tables (relation, source, table_name, spec)
    values ('crm.contact'::regclass, 'crm', 'contact', '{"key": "id"}');"#;

fn submission() -> Submission {
    let (table, mutation) = (TableName::new("crm", "contact"), MutationId(Uuid::now_v7()));
    let key = format!("pending:{}", mutation.0);
    let column = |n: usize| (format!("column_{n}"), Some(format!("value {n}")));
    let row = RowChange {
        table: table.clone(),
        op: Op::Insert,
        key: key.clone(),
        version: None,
        changed: (0..5).map(column).collect::<Row>(),
        old: Row::new(),
    };
    Submission {
        claims: vec![Claim { table: table.clone(), key: ClaimKey(format!("id={key}")) }],
        versions: vec![VersionCheck { table, key, version: None }],
        request: MutationRequested::new(mutation, vec![row]).from_client("app", "alice", "bench"),
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:<48} p50 {:>10.1?}  p99 {:>10.1?}", at(50), at(99));
}

fn noted() -> Event {
    Event::MutationVoided(MutationVoided { mutation: MutationId(Uuid::now_v7()), reason: "x".repeat(300) })
}

async fn open(cluster: &Cluster, broker: &Broker, options: BTreeMap<String, String>) -> Result<Arc<KafkaLog>> {
    let database = cluster.create_database().await;
    let mut admin = schema::migrate(&cluster.superuser_url(&database)).await;
    sqlx::raw_sql(TABLE).execute(&mut admin).await?;
    let config = KafkaConfig {
        topic_prefix: unique_prefix(),
        replication: 1,
        min_insync: 1,
        options,
        ..KafkaConfig::new(broker.bootstrap())
    };
    kafka::prepare(&config, 4, &[]).await?;
    let pool =
        PgPoolOptions::new().connect_lazy(&cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD))?;
    Ok(KafkaLog::open(pool, config, CancellationToken::new()).await?)
}

async fn one_at_a_time(log: &Arc<KafkaLog>, rounds: usize) -> Result<()> {
    let partition = Partition { stream: Stream::Mutations, number: 0 };
    let mut consumer = log.subscribe(partition, Position::START);
    let (mut appended, mut seen, mut read, mut submitted) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let started = Instant::now();
        let position = log.append(partition, vec![noted()]).await?[0];
        appended.push(started.elapsed());
        while consumer
            .next()
            .await
            .is_some_and(|batch| batch.is_ok_and(|records| records.last().is_some_and(|last| last.position < position)))
        {
        }
        seen.push(started.elapsed());
        let started = Instant::now();
        let answer = log.submit(submission()).await?;
        submitted.push(started.elapsed());
        assert!(matches!(answer, Submitted::Accepted { .. }), "{answer:?}");
        if round % 10 == 0 {
            let started = Instant::now();
            log.read(partition, position, 1).await?;
            read.push(started.elapsed());
        }
    }
    show("append", appended);
    show("append, seen by a consumer", seen);
    show("submit, 1 row (claim, version; produce)", submitted);
    show("read of one record", read);
    Ok(())
}

async fn many(log: &Arc<KafkaLog>, sessions: usize, rounds: usize) -> Result<()> {
    let started = Instant::now();
    let times = try_join_all((0..sessions).map(|_| async {
        let mut times = Vec::new();
        for _ in 0..rounds / 10 {
            let started = Instant::now();
            log.submit(submission()).await?;
            times.push(started.elapsed());
        }
        anyhow::Ok(times)
    }))
    .await?;
    let times = times.concat();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    show(&format!("submit, {sessions} sessions ({rate:.0}/s)"), times);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(1000), |rounds| rounds.parse())?;
    let options: BTreeMap<_, _> =
        arguments.filter_map(|option| option.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()))).collect();
    let cluster = Cluster::start(Options { fsync: true, ..Options::default() }).await;
    let broker = Broker::start(BrokerOptions::default()).await;
    let mut logs = Vec::new();
    for options in [BTreeMap::new(), options] {
        logs.push((format!("{options:?}"), open(&cluster, &broker, options).await?));
    }
    // The first round warms up broker and database.
    one_at_a_time(&logs[0].1, rounds / 5).await?;
    for (options, log) in logs {
        println!("options {options}");
        one_at_a_time(&log, rounds).await?;
        many(&log, 64, rounds).await?;
    }
    Ok(())
}
