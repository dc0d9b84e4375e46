-- A type as Postgres names it. Nothing but a type gets through.
create or replace function upwrite.checked_type(sql_type text) returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regtype(sql_type) is null then
        raise exception using errcode = '42704', message = format('type %L does not exist', sql_type);
    end if;
    return sql_type;
end
$$;

revoke all on function upwrite.checked_type(text) from public;
