-- The type with its modifier, spelled as format_type spells it: by way of a column that has it.
create or replace function upwrite.canonical_type(sql_type text) returns text language plpgsql
    set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    canonical text;
begin
    execute format('create temporary table upwrite_type_probe (c %s)', upwrite.checked_type(sql_type));
    select format_type(a.atttypid, a.atttypmod) into canonical from pg_attribute a
    where a.attrelid = 'pg_temp.upwrite_type_probe'::regclass and a.attname = 'c';
    drop table pg_temp.upwrite_type_probe;
    return canonical;
end
$$;

revoke all on function upwrite.canonical_type(text) from public;
