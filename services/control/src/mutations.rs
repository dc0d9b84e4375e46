//! `upwrite.mutations` → `Mutation`.

use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};
use tonic::Status;
use uuid::Uuid;

use crate::filter::{Filter, PageToken};
use crate::instant::timestamp;
use crate::v1::Mutation;

/// The columns that `mutation` reads. Times as Unix microseconds.
macro_rules! columns {
    () => {
        "m.id, m.state, m.source, m.table_name, m.operation, m.row_count, m.applied_count, m.keys, m.database, \
         m.username, m.application_name, m.attempts, m.sqlstate, m.message, m.detail, m.hint, m.upstream_code, \
         m.upstream_request_id, m.revocation_requested, m.outlived_rollback, m.traceparent, m.redrive_of, \
         m.partition, m.position, m.released, \
         (extract(epoch from m.requested_at) * 1000000)::bigint as requested_us, \
         (extract(epoch from m.accepted_at) * 1000000)::bigint as accepted_us, \
         (extract(epoch from m.attempted_at) * 1000000)::bigint as attempted_us, \
         (extract(epoch from m.answered_at) * 1000000)::bigint as answered_us, \
         (extract(epoch from m.finished_at) * 1000000)::bigint as finished_us, \
         (extract(epoch from m.settled_at) * 1000000)::bigint as settled_us, \
         (extract(epoch from m.not_before) * 1000000)::bigint as not_before_us"
    };
}

const LIST: &str = concat!(
    "/* control.list_mutations */ select ",
    columns!(),
    " from upwrite.mutations m
      where ($1::text[] is null or m.state = any ($1))
        and ($2::text is null or m.source = $2) and ($3::text is null or m.table_name = $3)
        and ($4::text is null or m.username = $4)
        and ($5::bigint is null or m.requested_at >= 'epoch'::timestamptz + $5 * interval '1 microsecond')
        and ($6::bigint is null
             or (m.requested_at, m.id) < ('epoch'::timestamptz + $6 * interval '1 microsecond', $7::uuid))
      order by m.requested_at desc, m.id desc limit $8"
);

const BY_IDS: &str =
    concat!("/* control.mutations_by_id */ select ", columns!(), " from upwrite.mutations m where m.id = any ($1)");

const UNRELEASED: &str = concat!(
    "/* control.unreleased_mutations */ select ",
    columns!(),
    " from upwrite.mutations m
      where not m.released
        and ($1::text is null or m.source = $1) and ($2::text is null or m.table_name = $2)
        and ($3::text is null or m.username = $3)
        and ($4::bigint is null or m.requested_at >= 'epoch'::timestamptz + $4 * interval '1 microsecond')
      order by m.requested_at, m.id limit $5"
);

const CHANGED: &str = concat!(
    "/* control.changed_mutations */ select ",
    columns!(),
    " from upwrite.mutations m
      where m.requested_at >= 'epoch'::timestamptz + $1 * interval '1 microsecond'
        and (m.requested_at, m.id) > ('epoch'::timestamptz + $2 * interval '1 microsecond', $3::uuid)
        and greatest(m.accepted_at, m.attempted_at, m.answered_at, m.finished_at, m.settled_at)
            >= 'epoch'::timestamptz + $4 * interval '1 microsecond'
        and ($5::text is null or m.source = $5) and ($6::text is null or m.table_name = $6)
        and ($7::text is null or m.username = $7)
        and ($8::bigint is null or m.requested_at >= 'epoch'::timestamptz + $8 * interval '1 microsecond')
      order by m.requested_at, m.id limit $9"
);

/// One page, latest request first, and where the next one begins.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<PageToken>,
    size: u32,
) -> Result<(Vec<Mutation>, Option<PageToken>), sqlx::Error> {
    let table = filter.table.as_ref();
    let rows = sqlx::query(LIST)
        .bind(filter.states.as_deref())
        .bind(table.map(|table| table.source.as_str()))
        .bind(table.map(|table| table.table.as_str()))
        .bind(filter.user.as_deref())
        .bind(filter.since_us)
        .bind(after.map(|token| token.requested_us))
        .bind(after.map(|token| token.id))
        .bind(i64::from(size) + 1)
        .fetch_all(pool)
        .await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // One more than asked for: only then is there a next page.
    let last = if rows.len() > size { rows.get(size.wrapping_sub(1)) } else { None };
    let next = last.map(|row| {
        Ok::<_, sqlx::Error>(PageToken { requested_us: row.try_get("requested_us")?, id: row.try_get("id")? })
    });
    let mutations = rows.iter().take(size).map(mutation).collect::<Result<_, _>>()?;
    Ok((mutations, next.transpose()?))
}

pub(crate) async fn by_ids(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Mutation>, sqlx::Error> {
    let rows = sqlx::query(BY_IDS).bind(ids).fetch_all(pool).await?;
    rows.iter().map(mutation).collect()
}

/// Those that are not released, oldest request first, whatever their state.
pub(crate) async fn unreleased(pool: &PgPool, filter: &Filter, limit: i64) -> Result<Vec<Mutation>, sqlx::Error> {
    let table = filter.table.as_ref();
    let rows = sqlx::query(UNRELEASED)
        .bind(table.map(|table| table.source.as_str()))
        .bind(table.map(|table| table.table.as_str()))
        .bind(filter.user.as_deref())
        .bind(filter.since_us)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.iter().map(mutation).collect()
}

/// Where a page of [`changed`] ended.
pub(crate) type ChangedAfter = (i64, Uuid);

/// Those that were requested from `requested_us` on and changed from `changed_us` on, whatever their state, oldest
/// request first; and where the next page begins.
pub(crate) async fn changed(
    pool: &PgPool,
    filter: &Filter,
    requested_us: i64,
    changed_us: i64,
    after: Option<ChangedAfter>,
    limit: i64,
) -> Result<(Vec<Mutation>, Option<ChangedAfter>), sqlx::Error> {
    let table = filter.table.as_ref();
    let (after_us, after_id) = after.unwrap_or((requested_us - 1, Uuid::nil()));
    let rows = sqlx::query(CHANGED)
        .bind(requested_us)
        .bind(after_us)
        .bind(after_id)
        .bind(changed_us)
        .bind(table.map(|table| table.source.as_str()))
        .bind(table.map(|table| table.table.as_str()))
        .bind(filter.user.as_deref())
        .bind(filter.since_us)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    let next = match rows.last() {
        Some(row) => Some((row.try_get("requested_us")?, row.try_get("id")?)),
        None => None,
    };
    Ok((rows.iter().map(mutation).collect::<Result<_, _>>()?, next))
}

fn mutation(row: &PgRow) -> Result<Mutation, sqlx::Error> {
    let count = |name| row.try_get::<i32, _>(name).map(|count| u32::try_from(count).unwrap_or_default());
    let at = |name| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(timestamp));
    let keys: Option<Vec<Option<String>>> = row.try_get("keys")?;
    Ok(Mutation {
        id: row.try_get::<Uuid, _>("id")?.to_string(),
        state: row.try_get("state")?,
        source: row.try_get("source")?,
        table: row.try_get("table_name")?,
        operation: row.try_get("operation")?,
        row_count: count("row_count")?,
        applied_count: count("applied_count")?,
        keys: keys.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect(),
        database: row.try_get("database")?,
        user: row.try_get("username")?,
        application_name: row.try_get("application_name")?,
        attempts: count("attempts")?,
        sqlstate: row.try_get("sqlstate")?,
        message: row.try_get("message")?,
        detail: row.try_get("detail")?,
        hint: row.try_get("hint")?,
        upstream_code: row.try_get("upstream_code")?,
        upstream_request_id: row.try_get("upstream_request_id")?,
        requested_at: at("requested_us")?,
        accepted_at: at("accepted_us")?,
        attempted_at: at("attempted_us")?,
        answered_at: at("answered_us")?,
        finished_at: at("finished_us")?,
        settled_at: at("settled_us")?,
        not_before: at("not_before_us")?,
        revocation_requested: row.try_get("revocation_requested")?,
        outlived_rollback: row.try_get("outlived_rollback")?,
        traceparent: row.try_get("traceparent")?,
        redrive_of: row.try_get::<Option<Uuid>, _>("redrive_of")?.map(|id| id.to_string()),
        partition: u32::try_from(row.try_get::<i16, _>("partition")?).unwrap_or_default(),
        position: row.try_get("position")?,
        released: row.try_get("released")?,
    })
}

/// What a caller gets when Postgres does not answer as it should.
pub(crate) fn refused(error: &sqlx::Error) -> Status {
    match error {
        sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("42")) => {
            Status::failed_precondition(format!(
                "the database is not set up for this version (run `upwrite setup`): {error}"
            ))
        }
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
            Status::internal(format!("the database holds what this version cannot read: {error}"))
        }
        _ => Status::unavailable(format!("Postgres does not answer: {error}")),
    }
}
