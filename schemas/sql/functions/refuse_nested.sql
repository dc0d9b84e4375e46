-- The BEFORE ROW trigger of every synced table (upwrite.define_triggers makes it, ENABLE ALWAYS): user code that runs in the
-- reconciler's session writes no synced table. UW001.
create or replace function upwrite.refuse_nested() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'UW001',
        message = format('a trigger cannot change synced table %I.%I while Upwrite writes what upstream says',
                         tg_table_schema, tg_table_name),
        hint = 'Use an ordinary trigger (not ENABLE REPLICA or ENABLE ALWAYS): it acts when the change is captured.',
        schema = tg_table_schema, table = tg_table_name;
end
$$;

revoke all on function upwrite.refuse_nested() from public;
