-- What of the own backend's locks can tell of work outside of capture: on synced tables every lock above
-- AccessShareLock (RowShareLock: rows are locked), on others every one above RowShareLock (something was written).
-- Left out: schema upwrite, indexes, sequences, TOAST, and views that were only written through. `tuples` are the
-- counters of inserted, updated and deleted rows; they reach back over the transaction: only their growth means
-- anything.
-- PL/pgSQL, not SQL: it keeps its plan.
create or replace function upwrite.locks() returns json language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    return (
        select coalesce(json_agg(json_build_object(
            'relation', c.oid::bigint,
            'name', format('%I.%I', n.nspname, c.relname),
            'mode', l.mode,
            'synced', t.relation is not null,
            'kind', c.relkind,
            'tuples', json_build_array(
                pg_stat_get_xact_tuples_inserted(c.oid),
                pg_stat_get_xact_tuples_updated(c.oid),
                pg_stat_get_xact_tuples_deleted(c.oid))
        ) order by c.oid, l.mode), '[]')
        from pg_lock_status() l
        join pg_class c on c.oid = l.relation
        join pg_namespace n on n.oid = c.relnamespace
        left join upwrite.tables t on t.relation = c.oid
        where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted
          and l.database in (0, (select d.oid from pg_database d where d.datname = current_database()))
          and l.mode <> 'AccessShareLock' and (l.mode <> 'RowShareLock' or t.relation is not null)
          and n.nspname <> 'upwrite'
          and c.relkind not in ('i', 'I', 'S', 't', 'c') and (c.relkind <> 'v' or l.mode <> 'RowExclusiveLock'));
end
$$;

revoke all on function upwrite.locks() from public;
-- upwrite.mark calls it with the rights of its own caller.
grant execute on function upwrite.locks() to public;
