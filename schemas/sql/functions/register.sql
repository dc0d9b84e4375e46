-- Registers a connection of the proxy: `secret_hash` is the sha256 of the secret's UTF-8. Replaces an older one.
create or replace function upwrite.register(pid integer, secret_hash bytea) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if length(secret_hash) is distinct from 32 then
        raise exception using errcode = '22023', message = 'a secret''s hash has 32 bytes (sha256)';
    end if;
    -- Now and then, what connections without an orderly end left.
    if random() < 0.01 then
        delete from upwrite.secrets s
        where not exists (select from pg_stat_get_activity(null) a where a.pid = s.pid);
    end if;
    insert into upwrite.secrets as s (pid, hash) values (register.pid, secret_hash)
    on conflict on constraint secrets_pkey do update set hash = excluded.hash, registered_at = now();
end
$$;

revoke all on function upwrite.register(integer, bytea) from public;
grant execute on function upwrite.register(integer, bytea) to upwrite_service;
