-- Ends what upwrite.register began, at the end of the connection.
create or replace function upwrite.forget(pid integer) returns void language sql security definer
    set search_path = pg_catalog, pg_temp
as $$
    delete from upwrite.secrets s where s.pid = forget.pid;
$$;

revoke all on function upwrite.forget(integer) from public;
grant execute on function upwrite.forget(integer) to upwrite_service;
