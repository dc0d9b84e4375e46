-- The end of a batch, as parts of one statement: the mutations' rows, what is known of the records that were written, the
-- positions. All are of one transaction with the rows. `upwrite.end_batch` is told what came of them.
statuses as (
insert into upwrite.mutations as m (
    id, state, source, table_name, operation, row_count, applied_count, keys, database, username, application_name,
    attempts, sqlstate, message, detail, hint, upstream_code, upstream_request_id,
    requested_at, accepted_at, attempted_at, answered_at, finished_at, settled_at, not_before,
    revocation_requested, outlived_rollback, traceparent, redrive_of, partition, position,
    failure, lifecycle, released)
select x.id, x.state, x.source, x.table_name, x.operation, x.row_count, x.applied_count, x.keys, x.database, x.username,
       x.application_name, x.attempts,
       case when x.state in ('in_doubt', 'partial') then '40003'
            when x.state = 'revoked' then '57014'
            when x.state = 'voided' then '58030'
            when x.state not in ('applied', 'requested') then x.failure->>'sqlstate' end,
       case when x.state not in ('applied', 'requested') then x.failure->>'message' end,
       case when x.state not in ('applied', 'requested') then x.failure->>'detail' end,
       case when x.state not in ('applied', 'requested') then x.failure->>'hint' end,
       x.failure->>'upstream_code', x.failure->>'request_id',
       'epoch'::timestamptz + x.requested_at_us * interval '1 microsecond',
       'epoch'::timestamptz + x.accepted_at_us * interval '1 microsecond',
       'epoch'::timestamptz + x.attempted_at_us * interval '1 microsecond',
       'epoch'::timestamptz + x.answered_at_us * interval '1 microsecond',
       case when x.finished then clock_timestamp() end,
       case when x.released or x.state = 'voided' then clock_timestamp() end,
       'epoch'::timestamptz + x.not_before_us * interval '1 microsecond',
       x.revocation_requested, x.outlived_rollback, x.traceparent, x.redrive_of, x.partition, x.position,
       x.failure, coalesce(x.lifecycle, '{}'), x.released
  from jsonb_to_recordset($1) as x (
       id uuid, state text, source text, table_name text, operation text, row_count int4, applied_count int4,
       keys text[], database text, username text, application_name text, attempts int4,
       requested_at_us int8, accepted_at_us int8, attempted_at_us int8, answered_at_us int8, not_before_us int8,
       revocation_requested bool, outlived_rollback bool, traceparent text, redrive_of uuid,
       partition int2, position int8, failure jsonb, lifecycle jsonb, finished bool, released bool)
on conflict (id) do update set
    state = excluded.state, applied_count = excluded.applied_count, keys = excluded.keys, attempts = excluded.attempts,
    sqlstate = excluded.sqlstate, message = excluded.message, detail = excluded.detail, hint = excluded.hint,
    upstream_code = excluded.upstream_code, upstream_request_id = excluded.upstream_request_id,
    attempted_at = excluded.attempted_at, answered_at = excluded.answered_at,
    finished_at = coalesce(m.finished_at, excluded.finished_at),
    settled_at = coalesce(m.settled_at, excluded.settled_at), not_before = excluded.not_before,
    revocation_requested = excluded.revocation_requested, outlived_rollback = excluded.outlived_rollback,
    failure = excluded.failure, lifecycle = excluded.lifecycle, released = excluded.released
    returning 1
), changed as (
-- Locked by this transaction since it read them.
insert into upwrite.records as r
       (source, table_name, key, vendor_version, seen_begun_us, seen_ended_us, by_mutation, deleted)
select x.* from jsonb_to_recordset($8) as x (source text, table_name text, key text, vendor_version text,
       seen_begun_us int8, seen_ended_us int8, by_mutation bool, deleted bool)
on conflict (source, table_name, key) do update
   set vendor_version = excluded.vendor_version, seen_begun_us = excluded.seen_begun_us,
       seen_ended_us = excluded.seen_ended_us, by_mutation = excluded.by_mutation, deleted = excluded.deleted
), added as (
-- Not there when this transaction looked. If somebody else has added one since, it decided without knowing of that.
insert into upwrite.records
       (source, table_name, key, vendor_version, seen_begun_us, seen_ended_us, by_mutation, deleted)
select x.* from jsonb_to_recordset($9) as x (source text, table_name text, key text, vendor_version text,
       seen_begun_us int8, seen_ended_us int8, by_mutation bool, deleted bool)
on conflict do nothing
    returning 1
), moved as (
update upwrite.positions p
   set next_position = x.next, owner = x.owner, stamp_us = x.stamp, updated_at = clock_timestamp()
  from unnest($3::text[], $4::int8[], $5::int8[], $6::uuid[], $7::int8[], $10::int8[])
       as x (stream, partition, next, owner, epoch, stamp)
 where p.stream = x.stream and p.partition = x.partition and p.epoch = x.epoch
    returning 1
)
