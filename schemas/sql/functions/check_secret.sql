-- Raises 42501 unless `secret` is the one that the proxy's control connection registered for this connection. Not by pid
-- and start of the backend: a later connection with the same pid does not know the secret of the earlier one, and looking
-- up the start costs more than all the rest.
create or replace function upwrite.check_secret(secret text) returns void language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
begin
    perform from upwrite.secrets where pid = pg_backend_pid() and hash = sha256(convert_to(secret, 'UTF8'));
    if not found then
        raise exception using
            errcode = '42501', message = 'this function is for Upwrite''s proxy only';
    end if;
end
$$;

revoke all on function upwrite.check_secret(text) from public;
