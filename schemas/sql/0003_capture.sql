-- Capture: what a statement would change in synced tables, and the veto that keeps it from changing them.
--
-- The trigger functions that every synced table gets (upwrite.define_table makes the triggers):
--   upwrite.capture()           AFTER ROW, ENABLE ALWAYS: the row's images into upwrite.captured, and arms the veto
--   upwrite.refuse_truncate()   BEFORE TRUNCATE, ENABLE ALWAYS: 0A000
--   upwrite.refuse_nested()     BEFORE ROW, ENABLE ALWAYS: user code in the reconciler's session writes no synced table
-- and the one that upwrite.armed has:
--   upwrite.veto()              deferred constraint trigger, ENABLE ALWAYS: UW001 when the transaction would commit

set local role upwrite_owner;

-- One row per changed row, of transactions that are still open; all others are dead. Ordinary transactional rows, so
-- that rolled-back savepoints and exception blocks leave no trace. Their order in a transaction is `cmin`: each one is
-- written by a command of its own, and the command counter of a transaction only grows, over subtransactions too. (A
-- sequence would show in the users' own lastval().)
create unlogged table upwrite.captured (
    xid                 xid8 not null,         -- of the top-level transaction
    relation            oid not null,
    op                  "char" not null,       -- 'i' | 'u' | 'd'
    old                 bytea,                 -- record text, UTF-8, under the fixed settings of upwrite.capture()
    new                 bytea
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
-- Without it, reading slows down as dead rows gather.
create index captured_xid on upwrite.captured (xid);

-- Transactions that have changed a synced table.
create unlogged table upwrite.armed (
    xid                 xid8 primary key,
    grace               boolean not null default true, -- the veto may be put off once more
    put_off             integer not null default 0     -- how often that happened; its update queues the veto anew
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 2000, fillfactor = 50);

-- Fixed settings: the text of a value must not follow the session's (A12). record_out never calls a user's cast (A14).
-- Unknown type names resolve in pg_catalog before pg_temp (A1).
create function upwrite.capture() returns trigger language plpgsql security definer
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

-- Fired with grace (SET CONSTRAINTS … IMMEDIATE, so that users' own deferred constraints can be checked before the
-- end), it defers itself and queues itself anew; fired without, it refuses. At the end of a transaction both happen one
-- after the other, so no order of SET CONSTRAINTS, savepoints, PREPARE TRANSACTION or COMMIT gets by (A2).
-- `set constraints … deferred` runs nobody's trigger; `immediate` would, as this function's owner: never here.
create function upwrite.veto() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
declare
    touched text;
begin
    update upwrite.armed set grace = false where xid = new.xid and grace;
    if found then
        set constraints upwrite.veto deferred;
        update upwrite.armed set put_off = put_off + 1 where xid = new.xid;
        return null;
    end if;
    select string_agg(distinct relation::regclass::text, ', ') into touched
    from upwrite.captured where xid = new.xid;
    raise exception using
        errcode = 'UW001',
        message = format('synced table %s can only be changed through Upwrite', coalesce(touched, '(none)')),
        detail = 'Its rows belong to an upstream API; a change made here alone would be lost. Nothing was changed.',
        hint = 'Connect through Upwrite''s proxy instead of directly to PostgreSQL.';
end
$$;

create constraint trigger veto after insert or update of put_off on upwrite.armed
    deferrable initially deferred for each row execute function upwrite.veto();
alter table upwrite.armed enable always trigger veto;

create function upwrite.refuse_truncate() returns trigger language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = '0A000',
        message = format('cannot truncate synced table %I.%I', tg_table_schema, tg_table_name),
        detail = 'TRUNCATE does not tell which records to delete upstream.',
        hint = 'Use DELETE.',
        schema = tg_table_schema, table = tg_table_name;
end
$$;

create function upwrite.refuse_nested() returns trigger language plpgsql
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

revoke all on function upwrite.capture(), upwrite.veto(), upwrite.refuse_truncate(), upwrite.refuse_nested() from public;

reset role;
