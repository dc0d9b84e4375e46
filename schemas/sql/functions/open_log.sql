-- Makes the counters of partitions that have none yet (a new database, or a new stream), and returns how many
-- partitions each stream has; null if `upwrite setup` has not yet run. A counter starts behind what the log holds.
create or replace function upwrite.open_log() returns smallint
language plpgsql volatile as $$
declare
    wanted smallint := (select d.partitions from upwrite.deployment d);
begin
    insert into upwrite.log_partitions (stream, partition, next_position)
    select s.stream, n,
           coalesce((select max(l.position) + 1 from upwrite.log l where l.stream = s.stream and l.partition = n), 0)
      from unnest(array['mutations', 'observations']) as s (stream), generate_series(0, wanted - 1) as n
        on conflict do nothing;
    return wanted;
end $$;

revoke all on function upwrite.open_log() from public;
grant execute on function upwrite.open_log() to upwrite_service;
