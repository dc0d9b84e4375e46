-- Upwrite's roles. Idempotent; run as a superuser, before everything else. Roles belong to the whole cluster, so several
-- databases (and several setups at once) share them: only what differs is changed, under a lock that all databases share.
-- Passwords are set by `upwrite setup`, never here.
--
--   upwrite_owner       no login   owns schema "upwrite", the synced tables and the functions
--   upwrite_reconciler  login      the only role whose writes are not captured; sees every row; runs as a replica does
--   upwrite_service     login      the proxy's control connection, log, applier, syncer; writes no synced table
--   upwrite_monitor     no login   granted to people who may see everybody's mutations, and claims

do $roles$
declare
    role text;
    wanted text;
begin
    begin
        -- Advisory locks are a database's own; this catalog is the cluster's.
        lock table pg_catalog.pg_authid in share row exclusive mode;
    exception when insufficient_privilege then
        null; -- a managed service without a real superuser: then concurrent setups are on their own
    end;

    foreach role in array array['upwrite_owner', 'upwrite_reconciler', 'upwrite_service', 'upwrite_monitor'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
    end loop;

    foreach role in array array['upwrite_reconciler', 'upwrite_service'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role and rolcanlogin) then
            execute format('alter role %I login', role);
        end if;
    end loop;

    -- Row security of the users' own must not hide rows from what upstream says (A18).
    if not exists (select from pg_catalog.pg_roles where rolname = 'upwrite_reconciler' and rolbypassrls) then
        alter role upwrite_reconciler bypassrls;
    end if;

    -- Dry runs leave dead rows, and before PostgreSQL 17 only owners may VACUUM. Not inherited: the reconciler has the
    -- owner's rights only after SET ROLE upwrite_owner, which it does for VACUUM and nothing else. (Its session_user, by
    -- which capture knows it, stays.)
    if exists (select from pg_catalog.pg_roles where rolname = 'upwrite_reconciler' and rolinherit) then
        alter role upwrite_reconciler noinherit;
    end if;
    if not exists (select from pg_catalog.pg_auth_members
                   where roleid = 'upwrite_owner'::pg_catalog.regrole
                     and member = 'upwrite_reconciler'::pg_catalog.regrole) then
        grant upwrite_owner to upwrite_reconciler;
    end if;

    -- As a subscriber of logical replication: ordinary triggers and foreign keys acted at capture already. The others
    -- are those under which capture writes images, so that text means the same value when it is read again.
    foreach wanted in array array[
        'session_replication_role=replica', 'DateStyle=ISO, YMD', 'IntervalStyle=postgres', 'TimeZone=UTC',
        'extra_float_digits=1', 'bytea_output=hex', 'lc_monetary=C', 'search_path=pg_catalog, pg_temp'
    ] loop
        if not exists (
            select from pg_catalog.pg_db_role_setting s
            where s.setrole = 'upwrite_reconciler'::pg_catalog.regrole and s.setdatabase = 0
              and exists (select from unnest(s.setconfig) c where lower(c) = lower(wanted))
        ) then
            if wanted like 'search_path=%' then
                alter role upwrite_reconciler set search_path = pg_catalog, pg_temp;
            else
                execute format('alter role upwrite_reconciler set %I = %L',
                               split_part(wanted, '=', 1), split_part(wanted, '=', 2));
            end if;
        end if;
    end loop;
end
$roles$;
