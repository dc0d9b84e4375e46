-- The functions that the proxy, the log and clients call. The signatures are a contract.
--
-- On a client's connection, with the client's rights:
--   upwrite.flush() -> void                     checks every deferred constraint now; the veto is put off
--   upwrite.flush_synced() -> void              the same for deferrable constraints of synced tables only (inside blocks)
--   upwrite.mark() -> text                      JSON {"locks":[…],"armed":bool}: what this transaction holds (compare before
--                                               and after), and whether it has changed a synced table already
--   upwrite.session(secret text) -> text        JSON, see there
--   upwrite.changes(secret text) -> setof (seq bigint, relation oid, op "char", old bytea, new bytea)
--   upwrite.await(id uuid, timeout interval default '10s') -> setof upwrite.mutations
-- `secret` is what the control connection registered for this connection; another one is refused (42501).
--
-- As upwrite_service:
--   upwrite.register(pid integer, secret_hash bytea) -> void   sha256 of the secret's UTF-8; replaces an older one
--   upwrite.forget(pid integer) -> void                        at the end of the connection
--   upwrite.versions(relation oid, keys text[]) -> setof (key text, version bigint)   rows that exist
--   upwrite.auth(name text) -> text                            SCRAM verifier; null: no such login (or expired, or ours)

set local role upwrite_owner;

-- Connections that the proxy made. A row outlives its connection harmlessly: nobody else knows its secret.
create unlogged table upwrite.secrets (
    pid                 integer primary key,
    hash                bytea not null,
    registered_at       timestamptz not null default now()
) with (fillfactor = 50);

create function upwrite.register(pid integer, secret_hash bytea) returns void language plpgsql security definer
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

create function upwrite.forget(pid integer) returns void language sql security definer
    set search_path = pg_catalog, pg_temp
as $$
    delete from upwrite.secrets s where s.pid = forget.pid;
$$;

-- Lets the veto be put off once more (see upwrite.veto). Anybody may: at the end of the transaction it fires twice.
create function upwrite.rearm() returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
begin
    -- No transaction id, nothing captured; and no write in a read-only transaction.
    if pg_current_xact_id_if_assigned() is not null then
        perform from upwrite.armed where xid = pg_current_xact_id_if_assigned() and not grace;
        if found then
            update upwrite.armed set grace = true where xid = pg_current_xact_id_if_assigned();
        end if;
    end if;
end
$$;

-- Invoker's rights: users' own deferred triggers must not run as anybody else.
create function upwrite.flush() returns void language plpgsql as $$
begin
    perform upwrite.rearm();
    set constraints all immediate;
end
$$;

-- Without upwrite.veto: the rollback to the proxy's savepoint takes the armed row, and what is pending for it, with it.
create function upwrite.flush_synced() returns void language plpgsql as $$
declare
    names text;
begin
    select pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, c.conname), ', ') into names
    from upwrite.tables t
    join pg_catalog.pg_constraint c on c.conrelid operator(pg_catalog.=) t.relation and c.condeferrable
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.connamespace
    where pg_catalog.has_schema_privilege(n.oid, 'USAGE');
    if names is not null then
        execute pg_catalog.format('set constraints %s immediate', names);
    end if;
end
$$;

-- What of the own backend's locks can tell of work outside of capture: on synced tables every lock above
-- AccessShareLock (RowShareLock: rows are locked), on others every one above RowShareLock (something was written).
-- Left out: schema upwrite, indexes, sequences, TOAST, and views that were only written through. `tuples` are the
-- counters of inserted, updated and deleted rows; they reach back over the transaction: only their growth means
-- anything.
-- PL/pgSQL, not SQL: it keeps its plan.
create function upwrite.locks() returns json language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
    return (
        select coalesce(json_agg(json_build_object(
            'relation', c.oid::bigint,
            'name', format('%I.%I', n.nspname, c.relname),
            'mode', l.mode,
            'synced', t.relation is not null,
            'kind', c.relkind,
            'tuples', json_build_array(
                pg_stat_get_xact_tuples_inserted(c.oid),
                pg_stat_get_xact_tuples_updated(c.oid),
                pg_stat_get_xact_tuples_deleted(c.oid))
        ) order by c.oid, l.mode), '[]')
        from pg_lock_status() l
        join pg_class c on c.oid = l.relation
        join pg_namespace n on n.oid = c.relnamespace
        left join upwrite.tables t on t.relation = c.oid
        where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted
          and l.database in (0, (select d.oid from pg_database d where d.datname = current_database()))
          and l.mode <> 'AccessShareLock' and (l.mode <> 'RowShareLock' or t.relation is not null)
          and n.nspname <> 'upwrite'
          and c.relkind not in ('i', 'I', 'S', 't', 'c') and (c.relkind <> 'v' or l.mode <> 'RowExclusiveLock'));
end
$$;

-- Whether this transaction has changed a synced table, and not taken it back: then it cannot commit.
create function upwrite.is_armed() returns boolean language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
begin
    return pg_current_xact_id_if_assigned() is not null
        and exists (select from upwrite.armed where xid = pg_current_xact_id_if_assigned());
end
$$;

create function upwrite.mark() returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return json_build_object('locks', upwrite.locks(), 'armed', upwrite.is_armed())::text;
end
$$;

-- Raises unless `secret` is this connection's. Not by pid and start of the backend: a later connection with the same
-- pid does not know the secret of the earlier one, and looking up the start costs more than all the rest.
create function upwrite.check_secret(secret text) returns void language plpgsql stable security definer
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

-- This transaction's changes, in the order in which they happened.
create function upwrite.changes(secret text)
returns table (seq bigint, relation oid, op "char", old bytea, new bytea) language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off
    rows 10
as $$
begin
    perform upwrite.check_secret(secret);
    return query
        select c.cmin::text::bigint as number, c.relation, c.op, c.old, c.new
        from upwrite.captured c where c.xid = pg_current_xact_id_if_assigned() order by number;
end
$$;

create function upwrite.captured_count(secret text) returns bigint language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
begin
    perform upwrite.check_secret(secret);
    return (select count(*) from upwrite.captured where xid = pg_current_xact_id_if_assigned());
end
$$;

-- All that the proxy wants to know of the session beside the changes, so that it never parses SET:
-- {"user": current_user, "session_user", "database", "application_name", "isolation", "read_only", "xid": text|null,
--  "settings": {"upwrite.ack": text|null, …: every upwrite.* setting that a client may change}, "statement_timeout_ms", "lock_timeout_ms",
--  "locks": as upwrite.mark() has them, "captured": number of rows of changes()}
create function upwrite.session(secret text) returns text language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    captured bigint := upwrite.captured_count(secret);
begin
    return json_build_object(
        'user', current_user, 'session_user', session_user, 'database', current_database(),
        'application_name', current_setting('application_name'),
        'isolation', current_setting('transaction_isolation'),
        'read_only', current_setting('transaction_read_only')::boolean,
        'xid', pg_current_xact_id_if_assigned()::text,
        'settings', (select json_object_agg('upwrite.' || name, current_setting('upwrite.' || name, true))
                     from unnest(array['apply', 'ack', 'hold_timeout', 'on_timeout', 'on_rollback', 'idempotency_key',
                                       'traceparent', 'last_mutation']) as name),
        'statement_timeout_ms', (extract(epoch from current_setting('statement_timeout')::interval) * 1000)::bigint,
        'lock_timeout_ms', (extract(epoch from current_setting('lock_timeout')::interval) * 1000)::bigint,
        'locks', upwrite.locks(),
        'captured', captured)::text;
end
$$;

-- For the log's version check. Not under the caller's snapshot: VOLATILE. As the table's owner: row security and the
-- user's privileges play no part (A18).
create function upwrite.versions(relation oid, keys text[])
returns table (key text, version bigint) language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
as $$
declare
    key_column text;
    key_type text;
begin
    select t.spec ->> 'key', format_type(a.atttypid, null) into key_column, key_type
    from upwrite.tables t
    join pg_attribute a on a.attrelid = t.relation and a.attname = t.spec ->> 'key' and not a.attisdropped
    where t.relation = versions.relation;
    if not found then
        raise exception using errcode = '42P01', message = format('%s is not a synced table', relation::regclass);
    end if;
    return query execute format('select %1$I::text, _version from %2$s where %1$I = any ($1::%3$s[])',
                                key_column, relation::regclass, key_type) using keys;
end
$$;

-- One's own mutations (everybody's for members of upwrite_monitor). Waits until the mutation has its verdict and the
-- synced table shows it, or until `timeout` has passed: then the row as it is, or none if the id is (still) not known.
create function upwrite.await(id uuid, timeout interval default '10s') returns setof upwrite.mutations
language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    until timestamptz := clock_timestamp() + timeout;
    pause double precision := 0.005;
    found_row upwrite.mutations;
    sees_all boolean := pg_has_role(session_user, 'upwrite_monitor', 'usage');
begin
    loop
        select m.* into found_row from upwrite.mutations m
        where m.id = await.id and (sees_all or m.username = session_user);
        exit when found_row.finished_at is not null or clock_timestamp() >= until;
        if current_setting('transaction_isolation') <> 'read committed' then
            raise exception using
                errcode = '0A000',
                message = format('upwrite.await cannot see news in a %s transaction',
                                 upper(current_setting('transaction_isolation'))),
                hint = 'Call it in a READ COMMITTED transaction, or outside of one.';
        end if;
        perform pg_sleep(pause);
        pause := least(pause * 2, 0.1);
    end loop;
    if found_row.id is not null then
        return next found_row;
    end if;
end
$$;

revoke all on function
    upwrite.register(integer, bytea), upwrite.forget(integer), upwrite.versions(oid, text[]),
    upwrite.locks(), upwrite.check_secret(text), upwrite.captured_count(text), upwrite.rearm()
from public;
grant execute on function upwrite.register(integer, bytea), upwrite.forget(integer), upwrite.versions(oid, text[])
to upwrite_service;
-- Called with the invoker's rights by functions that everybody may call.
grant execute on function upwrite.locks(), upwrite.captured_count(text), upwrite.rearm() to public;

-- Owned by the superuser that runs this file: nobody else may read verifiers.
reset role;
create function upwrite.auth(name text) returns text language sql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
    select rolpassword from pg_authid
    where rolname = auth.name and rolcanlogin and rolname not like 'upwrite\_%'
      and (rolvaliduntil is null or rolvaliduntil > clock_timestamp());
$$;
revoke all on function upwrite.auth(text) from public;
grant execute on function upwrite.auth(text) to upwrite_service;

-- Row security: one's own mutations, everybody's for monitors. The owner (definer functions) sees all.
set local role upwrite_owner;
alter table upwrite.mutations enable row level security;
create policy own on upwrite.mutations for select to public
    using (username = current_user or username = session_user);
create policy monitor on upwrite.mutations for select to upwrite_monitor using (true);
create policy service on upwrite.mutations to upwrite_service using (true) with check (true);

grant usage on schema upwrite to public;
grant select on upwrite.mutations to public;
grant select (relation, source, table_name) on upwrite.tables to public;

grant select on upwrite.deployment, upwrite.tables, upwrite.log_partitions, upwrite.dead_letters, upwrite.claims,
    upwrite.positions, upwrite.conflicts, upwrite.rereads to upwrite_monitor;

grant select on upwrite.deployment, upwrite.tables, upwrite.log, upwrite.log_partitions, upwrite.dead_letters,
    upwrite.claims, upwrite.positions, upwrite.mutations, upwrite.records, upwrite.parked, upwrite.conflicts,
    upwrite.rereads to upwrite_service;
grant update (backfilled_at, backfill_cursor) on upwrite.tables to upwrite_service;
grant insert, update, delete on upwrite.dead_letters, upwrite.rereads to upwrite_service;

grant select, insert, update, delete on upwrite.mutations, upwrite.positions, upwrite.records, upwrite.parked,
    upwrite.conflicts, upwrite.dead_letters, upwrite.rereads, upwrite.claims to upwrite_reconciler;
grant select on upwrite.deployment, upwrite.tables, upwrite.log, upwrite.log_partitions to upwrite_reconciler;
grant update (backfilled_at, backfill_cursor) on upwrite.tables to upwrite_reconciler;

reset role;
