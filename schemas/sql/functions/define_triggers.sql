-- Puts the three triggers of a synced table to work.
-- The conditions are evaluated when the row changes, and cost the reconciler nothing. `pg_trigger_depth() > 0`: code
-- of a user's that runs inside the reconciler's session is not the reconciler (A3).
create or replace function upwrite.define_triggers(table_oid oid) returns text[] language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
    state "char";
    done text[] := '{}';
begin
    for wanted in select * from (values
        ('upwrite_capture', 'after insert or update or delete on %s for each row'
            ' when (session_user <> ''upwrite_reconciler'' or pg_trigger_depth() > 0)', 'upwrite.capture()'),
        ('upwrite_nested', 'before insert or update or delete on %s for each row'
            ' when (session_user = ''upwrite_reconciler'' and pg_trigger_depth() > 0)', 'upwrite.refuse_nested()'),
        ('upwrite_truncate', 'before truncate on %s for each statement', 'upwrite.refuse_truncate()')
    ) as v (name, condition, function)
    loop
        select tgenabled into state from pg_trigger
        where tgrelid = table_oid and tgname = wanted.name and tgfoid = wanted.function::regprocedure;
        if not found then
            execute format('create or replace trigger %I ' || wanted.condition || ' execute function %s',
                           wanted.name, table_oid::regclass, wanted.function);
            done := done || format('put trigger %I on %s', wanted.name, table_oid::regclass);
        end if;
        if state is distinct from 'A' then
            execute format('alter table %s enable always trigger %I', table_oid::regclass, wanted.name);
        end if;
    end loop;
    return done;
end
$$;

revoke all on function upwrite.define_triggers(oid) from public;
