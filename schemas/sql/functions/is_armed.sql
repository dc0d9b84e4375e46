-- Whether this transaction has changed a synced table, and not taken it back: then it cannot commit.
create or replace function upwrite.is_armed() returns boolean language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp set enable_seqscan = off
as $$
begin
    return pg_current_xact_id_if_assigned() is not null
        and exists (select from upwrite.armed where xid = pg_current_xact_id_if_assigned());
end
$$;
