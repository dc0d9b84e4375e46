-- Which deployment this database belongs to. One row. A mismatch at start stops the process: it means a restore, a failover
-- to an older state, or another deployment's log.
create table upwrite.deployment (
    only_row            boolean primary key default true check (only_row),
    deployment          uuid not null,         -- made by setup, never changes
    system_identifier   text not null,         -- of the cluster, as pg_control_system() gives it
    log_engine          text not null,         -- 'postgres' | 'kafka'
    partitions          smallint not null check (partitions between 1 and 1024), -- of each stream of the log
    created_at          timestamptz not null default now(),
    log_cluster         text,                  -- the Kafka cluster's id; null where the log is in this database
    timeline            integer not null default 1, -- on which the database writes
    -- Not null: why no new mutation is accepted and no stage starts. `upwrite ctl recover` sets it, and takes it away when
    -- it has succeeded.
    recovery_barrier    text
);
