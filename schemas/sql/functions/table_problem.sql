-- What the promises rest on (A4, A11): an ordinary table of ours, alone. Null if it is one; else what is wrong with it.
create or replace function upwrite.table_problem(table_oid oid) returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (select case
        when c.relowner <> (select oid from pg_roles where rolname = 'upwrite_owner') then 'does not belong to upwrite_owner'
        when c.relkind = 'p' then 'is partitioned'
        when c.relispartition then 'is a partition'
        when c.relkind <> 'r' then 'is not a table'
        when exists (select from pg_inherits i where c.oid in (i.inhparent, i.inhrelid)) then 'takes part in inheritance'
        when exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and not i.indimmediate)
            then 'has a deferrable unique constraint'
    end from pg_class c where c.oid = table_oid);
end
$$;

revoke all on function upwrite.table_problem(oid) from public;
-- The check at start.
grant execute on function upwrite.table_problem(oid) to upwrite_service;
