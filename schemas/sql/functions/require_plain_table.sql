-- Raises 0A000 if upwrite.table_problem has something to say.
create or replace function upwrite.require_plain_table(table_oid oid) returns void language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    problem text := upwrite.table_problem(table_oid);
begin
    if problem is not null then
        raise exception using
            errcode = '0A000', message = format('%s cannot be a synced table: it %s', table_oid::regclass, problem),
            hint = 'Synced tables are plain tables that Upwrite makes; move this one out of the way.';
    end if;
end
$$;

revoke all on function upwrite.require_plain_table(oid) from public;
