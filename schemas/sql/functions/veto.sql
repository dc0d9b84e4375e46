-- What keeps captured changes from being committed: UW001 when the transaction would commit. A deferred constraint trigger
-- of upwrite.armed, ENABLE ALWAYS.
--
-- Fired with grace (SET CONSTRAINTS … IMMEDIATE, so that users' own deferred constraints can be checked before the
-- end), it defers itself and queues itself again; fired without, it refuses. At the end of a transaction both happen one
-- after the other, so no order of SET CONSTRAINTS, savepoints, PREPARE TRANSACTION or COMMIT gets by (A2).
-- `set constraints … deferred` runs no trigger of any user; `immediate` would, as this function's owner: never here.
create or replace function upwrite.veto() returns trigger language plpgsql security definer
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

revoke all on function upwrite.veto() from public;

-- Only if it is not there as it should be: making it waits for every transaction that has captured something. (A constraint
-- trigger cannot be replaced; what it is to be is said here, in the condition, and in the check at start.)
do $$
begin
    if not exists (select from pg_catalog.pg_trigger g
                    where g.tgrelid = 'upwrite.armed'::regclass and g.tgname = 'veto' and g.tgenabled = 'A'
                      and g.tgfoid = 'upwrite.veto()'::regprocedure and g.tgdeferrable and g.tginitdeferred) then
        drop trigger if exists veto on upwrite.armed;
        create constraint trigger veto after insert or update of put_off on upwrite.armed
            deferrable initially deferred for each row execute function upwrite.veto();
        alter table upwrite.armed enable always trigger veto;
    end if;
end
$$;
