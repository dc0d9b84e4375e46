/* reconciler.unreleased */
select to_jsonb(m) || jsonb_build_object(
         'requested_at_us', (extract(epoch from m.requested_at) * 1000000)::int8,
         'accepted_at_us', (extract(epoch from m.accepted_at) * 1000000)::int8,
         'attempted_at_us', (extract(epoch from m.attempted_at) * 1000000)::int8,
         'answered_at_us', (extract(epoch from m.answered_at) * 1000000)::int8,
         'not_before_us', (extract(epoch from m.not_before) * 1000000)::int8,
         'finished', m.finished_at is not null),
       (select count(*) from upwrite.parked p where p.mutation = m.id)
  from upwrite.mutations m
 where not m.released and m.partition = any($1)
