-- What each role may do with the tables (with functions: see their files). The whole list: what is not here is taken away.
-- The service appends, and the reconciler releases claims, with their own rights: append_batch and release_claims are not
-- SECURITY DEFINER.

revoke all on
    upwrite.migrations, upwrite.deployment, upwrite.tables, upwrite.log_partitions, upwrite.log, upwrite.dead_letters,
    upwrite.claims, upwrite.captured, upwrite.armed, upwrite.secrets, upwrite.positions, upwrite.mutations,
    upwrite.records, upwrite.parked, upwrite.conflicts, upwrite.rereads, upwrite.outbox, upwrite.processes,
    upwrite.budgets
from public, upwrite_service, upwrite_reconciler, upwrite_monitor;

-- Everybody: mutations by row security (see policies.sql), and which tables are synced.
grant usage on schema upwrite to public, upwrite_service, upwrite_reconciler;
grant select on upwrite.mutations to public;
grant select (relation, source, table_name) on upwrite.tables to public;

grant select on upwrite.migrations, upwrite.deployment, upwrite.tables, upwrite.log_partitions, upwrite.dead_letters,
    upwrite.claims, upwrite.positions, upwrite.conflicts, upwrite.rereads, upwrite.outbox, upwrite.processes
to upwrite_monitor;

grant select on upwrite.migrations, upwrite.deployment, upwrite.tables, upwrite.mutations, upwrite.positions,
    upwrite.records, upwrite.parked, upwrite.conflicts to upwrite_service;
grant update (backfilled_at, backfill_cursor) on upwrite.tables to upwrite_service;
grant select, insert on upwrite.log to upwrite_service;
grant select, insert, update on upwrite.log_partitions, upwrite.budgets to upwrite_service;
grant select, insert, delete on upwrite.claims to upwrite_service;
grant select, insert, update, delete on upwrite.dead_letters, upwrite.rereads, upwrite.processes to upwrite_service;
grant select, delete on upwrite.outbox to upwrite_service;

-- It also claims the real ids of records that a mutation has created.
grant select, insert, update, delete on upwrite.claims, upwrite.mutations, upwrite.positions, upwrite.records,
    upwrite.parked, upwrite.conflicts, upwrite.dead_letters, upwrite.rereads, upwrite.processes to upwrite_reconciler;
grant select on upwrite.deployment, upwrite.tables, upwrite.log, upwrite.log_partitions to upwrite_reconciler;
grant update (backfilled_at, backfill_cursor) on upwrite.tables to upwrite_reconciler;
grant update (recovery_barrier, system_identifier, timeline, log_cluster) on upwrite.deployment to upwrite_reconciler;
grant select, insert, delete on upwrite.outbox to upwrite_reconciler;

reset role;
do $$
begin
    -- Schemas of sources belong to upwrite_owner too, which therefore makes them.
    execute format('grant create, temporary on database %I to upwrite_owner', current_database());
    -- Rebuilding puts the log's images into temporary tables beside the synced ones.
    execute format('grant temporary on database %I to upwrite_reconciler', current_database());
end
$$;
