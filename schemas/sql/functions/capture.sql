-- The AFTER ROW trigger of every synced table (upwrite.define_triggers makes it, ENABLE ALWAYS): writes the row's images
-- into upwrite.captured, and arms the veto.
--
-- Fixed settings: the text of a value must not follow the session's (A12). record_out never calls a user's cast (A14).
-- Unknown type names resolve in pg_catalog before pg_temp (A1).
create or replace function upwrite.capture() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO, YMD' set intervalstyle = postgres set timezone = 'UTC'
    set extra_float_digits = 1 set bytea_output = hex set lc_monetary = 'C'
as $$
begin
    insert into upwrite.captured (xid, relation, op, old, new)
    values (pg_current_xact_id(), tg_relid,
            case tg_op when 'INSERT' then 'i' when 'UPDATE' then 'u' else 'd' end,
            convert_to(textin(record_out(old)), 'UTF8'), convert_to(textin(record_out(new)), 'UTF8'));
    -- By the unique index, whatever the planner believes of a table whose rows are nearly all dead.
    insert into upwrite.armed (xid) values (pg_current_xact_id()) on conflict (xid) do nothing;
    return null;
end
$$;

revoke all on function upwrite.capture() from public;
