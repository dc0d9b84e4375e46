//! What Postgres knows, from one snapshot.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::processes::Member;
use crate::instant::timestamp;
use crate::v1::{Binding, Counts, Partition, Process, StatusResponse, Table};

/// Processes with an older heartbeat are not shown.
const FORGOTTEN: &str = "1 hour";
/// Processes with a heartbeat within this are alive; there is one every two seconds.
const ALIVE: &str = "15 seconds";

const SNAPSHOT: &str = "/* control.snapshot */ set transaction isolation level repeatable read, read only";

const BINDING: &str = "/* control.binding */
    select d.deployment, d.system_identifier, s.system_identifier::text as system_identifier_found,
           d.timeline, d.log_engine, d.log_cluster, d.partitions, d.recovery_barrier,
           case when pg_is_in_recovery() then 0
                else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end as timeline_found,
           current_setting('server_version') as server_version,
           (extract(epoch from clock_timestamp()) * 1000000)::bigint as at_us
      from upwrite.deployment d, pg_control_system() s";

const HAS_MIGRATIONS: &str = "/* control.has_migrations */ select to_regclass('upwrite.migrations') is not null";

/// The newest file of tables; functions and rights have no order.
const SCHEMA: &str = "/* control.schema */
    select max(substr(file, length('tables/') + 1)) from upwrite.migrations where starts_with(file, 'tables/')";

const PROCESSES: &str = "/* control.processes */
    select p.id, p.host, p.pid, p.version, p.stages, p.status::text as status,
           (extract(epoch from p.started_at) * 1000000)::bigint as started_us,
           (extract(epoch from p.seen_at) * 1000000)::bigint as seen_us,
           p.seen_at > clock_timestamp() - $1::interval as alive
      from upwrite.processes p where p.seen_at > clock_timestamp() - $2::interval
     order by p.started_at, p.id limit 1000";

/// Which process has which item of which group: the locks of event-log's groups, by the name of their Postgres sessions.
const MEMBERS: &str = "/* control.members */
    select a.application_name as session, l.objid::bigint - 1 as item
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.objsubid = 2 and l.granted and l.objid::bigint > 0
       and a.datname = current_database() and a.application_name like 'upwrite group %'";

const PARTITIONS: &str = "/* control.partitions */
    select s.stream, n.number, coalesce(p.next_position, 0) as next_position, p.owner, coalesce(p.epoch, 0) as epoch,
           (extract(epoch from p.updated_at) * 1000000)::bigint as folded_us,
           coalesce(m.unfinished, 0) as unfinished,
           (extract(epoch from m.oldest) * 1000000)::bigint as oldest_us
      from upwrite.deployment d
      cross join unnest(array['mutations', 'observations']) with ordinality as s (stream, ordinal)
      cross join generate_series(0, d.partitions - 1) as n (number)
      left join upwrite.positions p on p.stream = s.stream and p.partition = n.number
      left join (select u.partition, count(*) as unfinished, min(u.requested_at) as oldest
                   from upwrite.mutations u where not u.released and u.finished_at is null group by u.partition) m
             on s.stream = 'mutations' and m.partition = n.number
     order by s.ordinal, n.number";

const TABLES: &str = "/* control.tables */
    select t.source, t.table_name, (extract(epoch from t.backfilled_at) * 1000000)::bigint as backfilled_us,
           (select count(*) from upwrite.rereads r where r.source = t.source and r.table_name = t.table_name) as rereads,
           (select count(*) from upwrite.outbox o where o.source = t.source and o.table_name = t.table_name) as outbox,
           (select count(*) from upwrite.parked k where k.source = t.source and k.table_name = t.table_name) as parked,
           (select count(*) from upwrite.conflicts c where c.source = t.source and c.table_name = t.table_name)
               as conflicts
      from upwrite.tables t order by t.source, t.table_name";

const COUNTS: &str = "/* control.counts */
    select c.claims, (extract(epoch from c.oldest) * 1000000)::bigint as oldest_claim_us,
           k.parked, (extract(epoch from k.oldest) * 1000000)::bigint as oldest_parked_us,
           l.dead_letters, (extract(epoch from l.latest) * 1000000)::bigint as latest_dead_letter_us,
           (select count(*) from upwrite.conflicts) as conflicts,
           m.unfinished, m.deferred, m.in_doubt, m.settling
      from (select count(*) as claims, min(claimed_at) as oldest from upwrite.claims) c,
           (select count(*) as parked, min(parked_at) as oldest from upwrite.parked) k,
           (select count(*) as dead_letters, max(noticed_at) as latest from upwrite.dead_letters) l,
           (select count(*) filter (where finished_at is null) as unfinished,
                   count(*) filter (where finished_at is null and state = 'deferred') as deferred,
                   count(*) filter (where state = 'in_doubt') as in_doubt,
                   count(*) filter (where finished_at is not null and state <> 'in_doubt') as settling
              from upwrite.mutations where not released) m";

pub(super) async fn load(pool: &PgPool) -> Result<(StatusResponse, Vec<Member>), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(SNAPSHOT).execute(&mut *transaction).await?;
    let mut status = StatusResponse::default();
    // No row: `upwrite setup` has not come so far.
    if let Some(row) = sqlx::query(BINDING).fetch_optional(&mut *transaction).await? {
        status.at = Some(timestamp(row.try_get("at_us")?));
        status.binding = Some(binding(&row, schema(&mut transaction).await?)?);
    }
    let processes = sqlx::query(PROCESSES).bind(ALIVE).bind(FORGOTTEN).fetch_all(&mut *transaction).await?;
    status.processes = processes.iter().map(process).collect::<Result<_, _>>()?;
    let partitions = sqlx::query(PARTITIONS).fetch_all(&mut *transaction).await?;
    status.partitions = partitions.iter().map(partition).collect::<Result<_, _>>()?;
    let tables = sqlx::query(TABLES).fetch_all(&mut *transaction).await?;
    status.tables = tables.iter().map(table).collect::<Result<_, _>>()?;
    status.counts = Some(counts(&sqlx::query(COUNTS).fetch_one(&mut *transaction).await?)?);
    let members = sqlx::query(MEMBERS).fetch_all(&mut *transaction).await?;
    let members = members.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    transaction.rollback().await?;
    Ok((status, members.into_iter().flatten().collect()))
}

async fn schema(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let recorded: bool = sqlx::query_scalar(HAS_MIGRATIONS).fetch_one(&mut *connection).await?;
    if recorded { sqlx::query_scalar(SCHEMA).fetch_one(connection).await } else { Ok(None) }
}

fn binding(row: &PgRow, schema: Option<String>) -> Result<Binding, sqlx::Error> {
    Ok(Binding {
        deployment: row.try_get::<Uuid, _>("deployment")?.to_string(),
        system_identifier: row.try_get("system_identifier")?,
        system_identifier_found: row.try_get("system_identifier_found")?,
        timeline: row.try_get("timeline")?,
        timeline_found: row.try_get("timeline_found")?,
        log_engine: row.try_get("log_engine")?,
        log_cluster: row.try_get("log_cluster")?,
        partitions: u32::try_from(row.try_get::<i16, _>("partitions")?).unwrap_or_default(),
        server_version: row.try_get("server_version")?,
        schema,
        version: String::new(),
        gate: row.try_get("recovery_barrier")?,
    })
}

fn process(row: &PgRow) -> Result<Process, sqlx::Error> {
    Ok(Process {
        id: row.try_get::<Uuid, _>("id")?.to_string(),
        host: row.try_get("host")?,
        pid: row.try_get("pid")?,
        version: row.try_get("version")?,
        stages: row.try_get("stages")?,
        started_at: at(row, "started_us")?,
        seen_at: at(row, "seen_us")?,
        alive: row.try_get("alive")?,
        detail_json: row.try_get("status")?,
        ..Default::default()
    })
}

fn member(row: &PgRow) -> Result<Option<Member>, sqlx::Error> {
    let item = u32::try_from(row.try_get::<i64, _>("item")?).unwrap_or(u32::MAX);
    Ok(Member::parse(row.try_get("session")?, item))
}

fn partition(row: &PgRow) -> Result<Partition, sqlx::Error> {
    Ok(Partition {
        stream: row.try_get("stream")?,
        number: u32::try_from(row.try_get::<i32, _>("number")?).unwrap_or_default(),
        position: row.try_get("next_position")?,
        folded_at: at(row, "folded_us")?,
        owner: row.try_get::<Option<Uuid>, _>("owner")?.map(|owner| owner.to_string()),
        epoch: row.try_get("epoch")?,
        unfinished: count(row, "unfinished")?,
        oldest_unfinished_at: at(row, "oldest_us")?,
        ..Default::default()
    })
}

fn table(row: &PgRow) -> Result<Table, sqlx::Error> {
    Ok(Table {
        source: row.try_get("source")?,
        table: row.try_get("table_name")?,
        backfilled_at: at(row, "backfilled_us")?,
        rereads: count(row, "rereads")?,
        outbox: count(row, "outbox")?,
        parked: count(row, "parked")?,
        conflicts: count(row, "conflicts")?,
    })
}

fn counts(row: &PgRow) -> Result<Counts, sqlx::Error> {
    Ok(Counts {
        held: 0,
        claims: count(row, "claims")?,
        oldest_claim_at: at(row, "oldest_claim_us")?,
        parked: count(row, "parked")?,
        oldest_parked_at: at(row, "oldest_parked_us")?,
        dead_letters: count(row, "dead_letters")?,
        latest_dead_letter_at: at(row, "latest_dead_letter_us")?,
        conflicts: count(row, "conflicts")?,
        unfinished: count(row, "unfinished")?,
        deferred: count(row, "deferred")?,
        in_doubt: count(row, "in_doubt")?,
        settling: count(row, "settling")?,
    })
}

fn count(row: &PgRow, name: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default())
}

fn at(row: &PgRow, name: &str) -> Result<Option<prost_types::Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(name)?.map(timestamp))
}
