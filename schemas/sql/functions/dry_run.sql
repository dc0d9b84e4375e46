-- All that the proxy wants to know of a dry run, in one call: first a row with nothing but `session`, then this
-- transaction's changes in the order in which they happened. `secret`: see upwrite.check_secret.
--
-- `session` is JSON, so that the proxy never parses SET: {"session_user", "database", "application_name", "isolation",
-- "settings": {"upwrite.ack": text|null, …: every setting that a client may make}, "statement_timeout_ms",
-- "lock_timeout_ms", "locks": as upwrite.locks() has them}.
--
-- The order is that of cmin: see upwrite.captured.
create or replace function upwrite.dry_run(secret text)
returns table (seq bigint, relation oid, op "char", old bytea, new bytea, session text)
language plpgsql volatile security definer rows 10
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    perform upwrite.check_secret(dry_run.secret);
    session := json_build_object(
        'session_user', session_user, 'database', current_database(),
        'application_name', current_setting('application_name'),
        'isolation', current_setting('transaction_isolation'),
        'settings', json_build_object(
            'upwrite.apply', current_setting('upwrite.apply', true),
            'upwrite.ack', current_setting('upwrite.ack', true),
            'upwrite.hold_timeout', current_setting('upwrite.hold_timeout', true),
            'upwrite.on_timeout', current_setting('upwrite.on_timeout', true),
            'upwrite.on_rollback', current_setting('upwrite.on_rollback', true),
            'upwrite.idempotency_key', current_setting('upwrite.idempotency_key', true),
            'upwrite.traceparent', current_setting('upwrite.traceparent', true)),
        'statement_timeout_ms', (extract(epoch from current_setting('statement_timeout')::interval) * 1000)::bigint,
        'lock_timeout_ms', (extract(epoch from current_setting('lock_timeout')::interval) * 1000)::bigint,
        'locks', upwrite.locks());
    return next;
    return query
        select c.cmin::text::bigint as number, c.relation, c.op, c.old, c.new, null
        from upwrite.captured c where c.xid = pg_current_xact_id_if_assigned() order by number;
end
$$;
