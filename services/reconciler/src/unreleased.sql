/* reconciler.unreleased */
select jsonb_build_object(
         'id', m.id, 'state', m.state, 'source', m.source, 'table_name', m.table_name, 'operation', m.operation,
         'row_count', m.row_count, 'applied_count', m.applied_count, 'keys', to_jsonb(m.keys),
         'database', m.database, 'username', m.username, 'application_name', m.application_name,
         'attempts', m.attempts,
         'requested_at_us', (extract(epoch from m.requested_at) * 1000000)::int8,
         'accepted_at_us', (extract(epoch from m.accepted_at) * 1000000)::int8,
         'attempted_at_us', (extract(epoch from m.attempted_at) * 1000000)::int8,
         'answered_at_us', (extract(epoch from m.answered_at) * 1000000)::int8,
         'not_before_us', (extract(epoch from m.not_before) * 1000000)::int8,
         'revocation_requested', m.revocation_requested, 'outlived_rollback', m.outlived_rollback,
         'traceparent', m.traceparent, 'redrive_of', m.redrive_of)
       || jsonb_build_object(
         'partition', m.partition, 'position', m.position, 'failure', m.failure, 'lifecycle', m.lifecycle,
         'finished', m.finished_at is not null, 'released', m.released),
       (select count(*) from upwrite.parked p where p.mutation = m.id)
  from upwrite.mutations m
 where not m.released and m.partition = any($1)
