//! A rebuild of a table from the log against a plain `COPY` of the same rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio_util::sync::CancellationToken;
use upwrite_event_log::{Config as LogConfig, EventLog, PostgresLog, partition_for};
use upwrite_events::{
    ColumnSpec, Event, Interval, ObservedRow, Partition, RecordsObserved, Row, Stream, TableName, TableSpec,
};
use upwrite_reconciler::{Rebuild, RebuildProgress, TableReport};
use upwrite_testkit::postgres::{Cluster, Options};
use upwrite_testkit::schema;

const ROWS_AN_EVENT: usize = 1_000;
const PARTITIONS: u16 = 4;
/// How often each is measured, in turn.
const TURNS: usize = 3;
const VERSION: &str = "2026-11-22T10:11:12.000Z";

pub(crate) async fn rebuild(rows: usize) -> anyhow::Result<()> {
    println!("starting Postgres (fsync on) …");
    let settings = [("max_wal_size", "8GB"), ("shared_buffers", "512MB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let cluster = Cluster::start(Options { fsync: true, settings }).await;
    let database = cluster.create_database().await;
    let url = cluster.superuser_url(&database);
    let specs = [spec("contact"), spec("copied")].map(|spec| serde_json::to_string(&spec));
    schema::install(&url, &specs.into_iter().collect::<Result<Vec<_>, _>>()?, PARTITIONS).await;
    let service = cluster.url(&database, "upwrite_service", schema::SERVICE_PASSWORD);
    let pool = PgPoolOptions::new().max_connections(8).connect(&service).await?;
    let log = PostgresLog::open(pool, LogConfig::default(), CancellationToken::new()).await?;
    let reconciler: PgConnectOptions =
        cluster.url(&database, "upwrite_reconciler", schema::RECONCILER_PASSWORD).parse()?;

    println!("appending {rows} observed rows, {ROWS_AN_EVENT} an event …");
    let partition = append(&log, rows).await?;
    let mut admin = PgConnection::connect(&url).await?;
    println!("writing them …");
    write(&log, &mut admin, partition, rows).await?;
    for of in ["crm.contact", "upwrite.log", "upwrite.records"] {
        admin.execute(AssertSqlSafe(format!("vacuum analyze {of}"))).await?;
    }
    let data = copied_out(&mut admin).await?;
    println!("\n{rows} rows, {} MB as COPY text", data.len() / 1_000_000);
    let (mut copies, mut rebuilds) = (Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        let copy = copy(&reconciler, &mut admin, &data).await?;
        let (rebuild, report) = rebuilt(&log, &reconciler, rows).await?;
        println!(
            "turn {turn}: COPY {:.2} s, rebuild {:.2} s, ratio {:.2}",
            copy.as_secs_f64(),
            rebuild.as_secs_f64(),
            rebuild.as_secs_f64() / copy.as_secs_f64()
        );
        anyhow::ensure!(!report.changed(), "nothing was to be mended: {report:?}");
        copies.push(copy);
        rebuilds.push(rebuild);
    }
    let (copy, rebuild) = (median(&mut copies), median(&mut rebuilds));
    println!(
        "median: COPY {copy:.2} s, rebuild {rebuild:.2} s, rebuild / COPY (goal: at most 1.50 x): {:.2} x",
        rebuild / copy
    );
    Ok(())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// As wide as what applications use of a contact.
fn spec(table: &str) -> TableSpec {
    let columns = vec![
        ColumnSpec::new("id", "text").read_only(),
        ColumnSpec::new("account_id", "text").references("account"),
        ColumnSpec::new("first_name", "text"),
        ColumnSpec::new("last_name", "text"),
        ColumnSpec::new("email", "text"),
        ColumnSpec::new("phone", "text"),
        ColumnSpec::new("amount", "numeric(18,2)"),
        ColumnSpec::new("is_deleted", "boolean"),
        ColumnSpec::new("birthdate", "date"),
        ColumnSpec::new("created_date", "timestamptz"),
        ColumnSpec::new("system_modstamp", "timestamptz"),
        ColumnSpec::new("upwrite_key", "text").unique(),
    ];
    TableSpec::new(TableName::new("crm", table), "id", columns)
        .with_object("Contact")
        .with_idempotency_column("upwrite_key")
        .with_version_column("system_modstamp")
}

fn row(number: usize) -> ObservedRow {
    // Keys come in no order, as a backfill's do.
    let scattered = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = format!("003{scattered:015X}");
    let values = [
        ("id", key.clone()),
        ("account_id", format!("001{:015X}", scattered >> 44)),
        ("first_name", format!("Ada {}", number % 1000)),
        ("last_name", format!("Lovelace {number}")),
        ("email", format!("ada.{number}@example.com")),
        ("phone", format!("+44 20 {:07}", number % 10_000_000)),
        ("amount", format!("{}.{:02}", number % 100_000, number % 100)),
        ("is_deleted", "f".to_owned()),
        ("birthdate", "1815-12-10".to_owned()),
        ("created_date", "2026-01-02 03:04:05+00".to_owned()),
        ("system_modstamp", "2026-11-22 10:11:12+00".to_owned()),
        ("upwrite_key", format!("{scattered:016x}-0")),
    ];
    let image: Row = values.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
    ObservedRow { key, image: Some(image), vendor_version: Some(VERSION.into()) }
}

async fn append(log: &Arc<PostgresLog>, rows: usize) -> anyhow::Result<Partition> {
    let table = TableName::new("crm", "contact");
    let partition = partition_for(Stream::Observations, &table, "", PARTITIONS);
    for first in (0..rows).step_by(ROWS_AN_EVENT) {
        let observed = (first..rows.min(first + ROWS_AN_EVENT)).map(row).collect();
        let seen = Interval { begun_us: 0, ended_us: 1 };
        let event = RecordsObserved { table: table.clone(), kind: "backfill".into(), seen, rows: observed };
        log.append(partition, vec![Event::RecordsObserved(event)]).await?;
    }
    Ok(partition)
}

/// As the reconciler would have, which takes far longer. The rebuild then finds every difference there is.
async fn write(
    log: &Arc<PostgresLog>,
    admin: &mut PgConnection,
    partition: Partition,
    rows: usize,
) -> anyhow::Result<()> {
    admin.execute(AssertSqlSafe(schema::unguarded("crm.contact"))).await?;
    let columns = spec("contact").columns;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let statement = format!("copy crm.contact ({}, _version, _synced_at) from stdin", names.join(", "));
    let mut copy = admin.copy_in_raw(&statement).await?;
    for number in 0..rows {
        let image = row(number).image.context("a row")?;
        let values = names.iter().map(|name| image.get(*name).cloned().flatten().unwrap_or_default());
        let line = format!("{}\t1\t2026-11-22 10:11:13+00\n", values.collect::<Vec<_>>().join("\t"));
        copy.send(line.as_bytes()).await?;
    }
    copy.finish().await?;
    let records = format!(
        "insert into upwrite.records (source, table_name, key, vendor_version, seen_begun_us, seen_ended_us)
         select 'crm', 'contact', id, '{VERSION}', 0, 1 from crm.contact"
    );
    let reached = format!(
        "insert into upwrite.positions (stream, partition, next_position) values ('observations', {}, {})",
        partition.number,
        log.end(partition).await?
    );
    for sql in [schema::guarded("crm.contact"), records, reached] {
        admin.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

async fn copied_out(admin: &mut PgConnection) -> anyhow::Result<Vec<u8>> {
    let mut data = Vec::new();
    let mut out = admin.copy_out_raw("copy crm.contact to stdout").await?;
    while let Some(part) = out.next().await {
        data.extend_from_slice(&part?);
    }
    Ok(data)
}

/// Into an equal, empty table, by the role that capture exempts.
async fn copy(options: &PgConnectOptions, admin: &mut PgConnection, data: &[u8]) -> anyhow::Result<Duration> {
    for sql in [
        "alter table crm.copied disable trigger upwrite_truncate",
        "truncate crm.copied",
        "alter table crm.copied enable always trigger upwrite_truncate",
        "checkpoint",
    ] {
        admin.execute(AssertSqlSafe(sql)).await?;
    }
    let mut connection = PgConnection::connect_with(options).await?;
    let begun = Instant::now();
    let mut copy = connection.copy_in_raw("copy crm.copied from stdin").await?;
    copy.send(data).await?;
    copy.finish().await?;
    let took = begun.elapsed();
    connection.close().await?;
    Ok(took)
}

async fn rebuilt(
    log: &Arc<PostgresLog>,
    options: &PgConnectOptions,
    rows: usize,
) -> anyhow::Result<(Duration, TableReport)> {
    let (tell, mut told) = tokio::sync::mpsc::channel::<RebuildProgress>(64);
    let begun = Instant::now();
    let phases = tokio::spawn(async move {
        let mut phase = "";
        while let Some(step) = told.recv().await {
            if step.phase != phase {
                phase = step.phase;
                println!("  {:6.2} s {phase}", begun.elapsed().as_secs_f64());
            }
        }
    });
    let rebuild = Rebuild::new(options.clone(), log.clone(), Some(tell));
    let report = rebuild.table(&TableName::new("crm", "contact")).await?;
    let took = begun.elapsed();
    drop(rebuild);
    phases.await?;
    anyhow::ensure!(report.rows == rows as u64, "as many rows as were observed: {report:?}");
    Ok((took, report))
}
