-- The SCRAM verifier of a login; null: no such login (or expired, or one of ours).
--
-- Owned by the superuser that runs setup: no other role may read verifiers.
reset role;
create or replace function upwrite.auth(name text) returns text language sql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
    select rolpassword from pg_authid
    where rolname = auth.name and rolcanlogin and rolname not like 'upwrite\_%'
      and (rolvaliduntil is null or rolvaliduntil > clock_timestamp());
$$;

revoke all on function upwrite.auth(text) from public;
grant execute on function upwrite.auth(text) to upwrite_service;
