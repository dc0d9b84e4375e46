-- Checks the deferrable constraints of synced tables now, and no others (inside blocks).
-- Without upwrite.veto: the rollback to the proxy's savepoint takes the armed row, and what is pending for it, with it.
create or replace function upwrite.flush_synced() returns void language plpgsql as $$
declare
    names text;
begin
    select pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, c.conname), ', ') into names
    from upwrite.tables t
    join pg_catalog.pg_constraint c on c.conrelid operator(pg_catalog.=) t.relation and c.condeferrable
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.connamespace
    where pg_catalog.has_schema_privilege(n.oid, 'USAGE');
    if names is not null then
        execute pg_catalog.format('set constraints %s immediate', names);
    end if;
end
$$;
