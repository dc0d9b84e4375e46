-- Lets the veto be put off once more (see upwrite.veto). Anybody may: at the end of the transaction it fires twice.
create or replace function upwrite.rearm() returns void language plpgsql security definer
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

revoke all on function upwrite.rearm() from public;
-- upwrite.flush calls it with the rights of its own caller.
grant execute on function upwrite.rearm() to public;
