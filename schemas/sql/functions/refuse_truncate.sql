-- The BEFORE TRUNCATE trigger of every synced table (upwrite.define_triggers makes it, ENABLE ALWAYS): 0A000.
create or replace function upwrite.refuse_truncate() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = '0A000',
        message = format('cannot truncate synced table %I.%I', tg_table_schema, tg_table_name),
        detail = 'TRUNCATE does not tell which records to delete upstream.',
        hint = 'Use DELETE.',
        schema = tg_table_schema, table = tg_table_name;
end
$$;

revoke all on function upwrite.refuse_truncate() from public;
