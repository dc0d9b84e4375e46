//! `upwrite.mutations` as the log has it: as SQL over the folded statuses.

/// Folded statuses: `id`, `n` (the latest counts), `status` (as `finish.sql` reads it).
pub(super) const STATUSES: &str = "upwrite_statuses";
/// Mutations of which the log says after their end that they outlived a rollback.
pub(super) const OUTLIVED: &str = "upwrite_outlived";

/// Columns that the log determines. `lifecycle` without what depends on when the reconciler looked.
const COLUMNS: &str = "state, source, table_name, operation, row_count, applied_count, keys, database, username, \
    application_name, attempts, sqlstate, message, detail, hint, upstream_code, upstream_request_id, requested_at, \
    accepted_at, attempted_at, answered_at, not_before, revocation_requested, outlived_rollback, \
    traceparent, redrive_of, partition, position, failure, lifecycle";

/// Rows as they should be, and whether the mutation is `finished`, `released`, `settled`. `only`: SQL about `s.id`.
/// Parked images hold these three back, as in the reconciler.
pub(super) fn expected(only: &str) -> String {
    format!(
        "select x.id, x.state, x.source, x.table_name, x.operation, x.row_count, x.applied_count, x.keys, x.database,
                x.username, x.application_name, x.attempts,
                case when x.state in ('in_doubt', 'partial') then '40003'
                     when x.state = 'revoked' then '57014'
                     when x.state = 'voided' then '58030'
                     when x.state not in ('applied', 'requested') then x.failure->>'sqlstate' end as sqlstate,
                case when x.state not in ('applied', 'requested') then x.failure->>'message' end as message,
                case when x.state not in ('applied', 'requested') then x.failure->>'detail' end as detail,
                case when x.state not in ('applied', 'requested') then x.failure->>'hint' end as hint,
                x.failure->>'upstream_code' as upstream_code, x.failure->>'request_id' as upstream_request_id,
                'epoch'::timestamptz + x.requested_at_us * interval '1 microsecond' as requested_at,
                'epoch'::timestamptz + x.accepted_at_us * interval '1 microsecond' as accepted_at,
                'epoch'::timestamptz + x.attempted_at_us * interval '1 microsecond' as attempted_at,
                'epoch'::timestamptz + x.answered_at_us * interval '1 microsecond' as answered_at,
                'epoch'::timestamptz + x.not_before_us * interval '1 microsecond' as not_before,
                x.revocation_requested, x.outlived_rollback or o.id is not null as outlived_rollback,
                x.traceparent, x.redrive_of, x.partition, x.position, x.failure,
                coalesce(x.lifecycle, '{{}}') as lifecycle,
                x.finished and p.mutation is null as finished, x.released and p.mutation is null as released,
                x.state = 'voided' or x.released and p.mutation is null as settled
           from (select distinct on (s.id) s.id, s.status from {STATUSES} s where {only} order by s.id, s.n desc) latest
          cross join lateral jsonb_to_record(latest.status) as x (
                id uuid, state text, source text, table_name text, operation text, row_count int4, applied_count int4,
                keys text[], database text, username text, application_name text, attempts int4,
                requested_at_us int8, accepted_at_us int8, attempted_at_us int8, answered_at_us int8,
                not_before_us int8, revocation_requested bool, outlived_rollback bool,
                traceparent text, redrive_of uuid, partition int2, position int8, failure jsonb, lifecycle jsonb,
                finished bool, released bool)
           left join (select distinct id from {OUTLIVED}) o on o.id = x.id
           left join (select distinct mutation from upwrite.parked) p on p.mutation = x.id"
    )
}

/// Ids of mutations that are not as expected. `complete`: what the log does not know should not be there.
pub(super) fn differing(complete: bool) -> String {
    let compared = |of: &str| {
        let columns = COLUMNS.split(", ").map(|column| match column {
            "lifecycle" => format!("{of}.lifecycle - 'outlived_rollback'"),
            column => format!("{of}.{column}"),
        });
        columns.collect::<Vec<_>>().join(", ")
    };
    let unknown = if complete { "or e.id is null" } else { "" };
    format!(
        "/* rebuild.differing */ select coalesce(e.id, m.id)
           from ({}) e full join upwrite.mutations m on m.id = e.id
          where m.id is null {unknown} or e.id is not null and (
                row({}) is distinct from row({})
                or e.finished <> (m.finished_at is not null) or e.settled <> (m.settled_at is not null)
                or e.state <> 'voided' and e.released <> m.released)",
        expected("true"),
        compared("e"),
        compared("m")
    )
}

/// Puts right the mutations in `$1`. Times that only the reconciler's clock knew are kept, or come from the outcome's.
pub(super) fn mend() -> String {
    let sets: Vec<String> = COLUMNS.split(", ").map(|column| format!("{column} = excluded.{column}")).collect();
    let columns = COLUMNS.split(", ").map(|column| format!("e.{column}")).collect::<Vec<_>>().join(", ");
    format!(
        "/* rebuild.mend_mutations */
         insert into upwrite.mutations as m (id, {COLUMNS}, finished_at, settled_at, released)
         select e.id, {columns},
                case when e.finished then coalesce(e.answered_at, e.accepted_at, e.requested_at) end,
                case when e.settled then coalesce(e.answered_at, e.accepted_at, e.requested_at) end,
                e.released and e.state <> 'voided'
           from ({}) e
         on conflict (id) do update set {},
                finished_at = case when excluded.finished_at is not null
                                   then coalesce(m.finished_at, excluded.finished_at) end,
                settled_at = case when excluded.settled_at is not null
                                  then coalesce(m.settled_at, excluded.settled_at) end,
                released = excluded.released or excluded.state = 'voided' and m.released",
        expected("s.id = any($1)"),
        sets.join(", ")
    )
}

pub(super) const REMOVE: &str = "/* rebuild.remove_mutations */
    delete from upwrite.mutations m
     where m.id = any($1) and not exists (select from upwrite_statuses s where s.id = m.id)";
