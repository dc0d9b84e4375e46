-- Schema "upwrite": the embedded log, claims, and the projections that the reconciler writes.
-- Run once by `upwrite setup` as a superuser; everything here belongs to upwrite_owner. Roles are made before
-- (they are shared by all databases of a cluster), capture and client functions follow in the next migrations.

create schema upwrite authorization upwrite_owner;
set local role upwrite_owner;

-- Which deployment this database belongs to. One row. A mismatch at start stops the process.
create table upwrite.deployment (
    only_row            boolean primary key default true check (only_row),
    deployment          uuid not null,         -- made by setup, never changes
    system_identifier   text not null,         -- of the cluster, as pg_control_system() gives it
    log_engine          text not null,         -- 'postgres' | 'kafka'
    partitions          smallint not null check (partitions between 1 and 1024),
    created_at          timestamptz not null default now()
);

-- Synced tables. `spec` is events::TableSpec as JSON.
create table upwrite.tables (
    relation            oid primary key,
    source              text not null,
    table_name          text not null,
    spec                jsonb not null,
    backfilled_at       timestamptz,           -- null until the first backfill has been merged
    backfill_cursor     text,                  -- where the syncer goes on after a restart
    unique (source, table_name)
);

-- The embedded log. Positions are assigned under the row lock of log_partitions, so readers see no gaps.
create table upwrite.log_partitions (
    stream              text not null check (stream in ('mutations', 'observations')),
    partition           smallint not null,
    next_position       bigint not null default 0,
    primary key (stream, partition)
);

create table upwrite.log (
    stream              text not null,
    partition           smallint not null,
    position            bigint not null,
    event               text not null,         -- name of the event
    mutation            uuid,
    value               bytea not null,        -- Avro, single-object encoding
    appended_at         timestamptz not null default clock_timestamp(),
    primary key (stream, partition, position)
);
alter table upwrite.log alter column value set storage external;

-- Events that could not be read or folded, with the reason. They stop nothing.
create table upwrite.dead_letters (
    id                  bigint generated always as identity primary key,
    stream              text not null,
    partition           smallint not null,
    position            bigint not null,
    reason              text not null,
    value               bytea,
    noticed_at          timestamptz not null default now(),
    unique (stream, partition, position)
);

-- One row per record that an unfinished mutation changes.
create table upwrite.claims (
    source              text not null,
    table_name          text not null,
    key                 text not null,         -- '<column>=<value, folded as upstream compares it>'
    mutation            uuid not null,
    claimed_at          timestamptz not null default clock_timestamp(),
    primary key (source, table_name, key)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, fillfactor = 70);
create index claims_mutation on upwrite.claims (mutation);

-- How far the reconciler has folded each partition; written in the transaction of the effects (exactly once).
create table upwrite.positions (
    stream              text not null,
    partition           smallint not null,
    next_position       bigint not null default 0, -- the first one not yet folded
    owner               uuid,                  -- the partition's applier (marker), as of that position
    epoch               bigint not null default 0, -- of the reconciler that writes; compare-and-set
    updated_at          timestamptz not null default now(),
    primary key (stream, partition)
);

-- One row per mutation: what operators and clients read. A projection of the log.
create table upwrite.mutations (
    id                  uuid primary key,
    state               text not null,         -- events::Phase
    source              text not null,         -- of the first row changed
    table_name          text not null,
    operation           text not null,         -- insert | update | delete | mixed
    row_count           integer not null,
    applied_count       integer not null default 0,
    keys                text[],                -- upstream keys in row order; null where not applied
    database            text not null,
    username            text not null,
    application_name    text not null,
    attempts            integer not null default 0,
    sqlstate            text,
    message             text,
    detail              text,
    hint                text,
    upstream_code       text,
    upstream_request_id text,
    requested_at        timestamptz not null,
    accepted_at         timestamptz,           -- in the log
    attempted_at        timestamptz,           -- latest attempt that the log tells of
    answered_at         timestamptz,           -- outcome in the log
    finished_at         timestamptz,           -- verdict, with the synced table showing it
    settled_at          timestamptz,           -- claims released
    not_before          timestamptz,           -- next attempt, while deferred
    revocation_requested boolean not null default false,
    outlived_rollback   boolean not null default false,
    client_key          text,
    traceparent         text,
    redrive_of          uuid,
    partition           smallint not null,
    position            bigint not null,       -- of its request in the log
    failure             jsonb,                 -- events::Failure
    lifecycle           jsonb not null,        -- events::Lifecycle: what a restart goes on from
    released            boolean not null default false -- nothing can come any more
) with (fillfactor = 70);
create index mutations_unreleased on upwrite.mutations (partition) where not released;
create index mutations_client_key on upwrite.mutations (username, database, client_key) where client_key is not null;
create index mutations_requested_at on upwrite.mutations (requested_at);

-- What the reconciler knows of a record beside its row: what the order of its images goes by, and tombstones.
create table upwrite.records (
    source              text not null,
    table_name          text not null,
    key                 text not null,
    vendor_version      text,
    seen_begun_us       bigint not null,
    seen_ended_us       bigint not null,
    by_mutation         boolean not null default false,
    deleted             boolean not null default false,
    primary key (source, table_name, key)
);

-- Images that could not be written because somebody's lock was in the way. Written in the transaction of the
-- position; retried until the lock is gone.
create table upwrite.parked (
    id                  bigint generated always as identity primary key,
    mutation            uuid,
    source              text not null,
    table_name          text not null,
    key                 text not null,
    image               jsonb,                 -- events::Row; null: delete
    vendor_version      text,
    seen_begun_us       bigint not null,
    seen_ended_us       bigint not null,
    old_key             text,                  -- placeholder, for creates
    parked_at           timestamptz not null default now()
);
create index parked_record on upwrite.parked (source, table_name, key);

-- Rows that a constraint of the user's own refused. Reported, stops nothing.
create table upwrite.conflicts (
    id                  bigint generated always as identity primary key,
    source              text not null,
    table_name          text not null,
    key                 text not null,
    mutation            uuid,
    sqlstate            text not null,
    message             text not null,
    noticed_at          timestamptz not null default now()
);

-- Reads by id that the reconciler asks of the syncer (overlap with a mutation, absence in a sweep).
create table upwrite.rereads (
    source              text not null,
    table_name          text not null,
    key                 text not null,
    ticket              bigint generated always as identity unique, -- a new one whenever it is asked for again
    asked_at            timestamptz not null default now(),
    primary key (source, table_name, key)
);

reset role;
