-- The end of a batch, as parts of one statement: the mutations' rows, what is known of the records that were written, the
-- positions. All are of one transaction with the rows. `upwrite.end_batch` is given what came of them.
-- What stands between at-signs comes from mutation_columns.rs.
statuses as (
insert into upwrite.mutations as m (id, @columns@, finished_at, settled_at, released)
select x.id, @values@,
       case when x.finished then clock_timestamp() end,
       case when x.released or x.state = 'voided' then clock_timestamp() end, x.released
  from jsonb_to_recordset($1) as x (@fields@)
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
-- Not there when this transaction looked. If another transaction has added one since, this one decided without knowing of it.
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
