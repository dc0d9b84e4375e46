-- What the reconciler keeps beside the rows of synced tables.

-- Of each record the order of its images, and tombstones.
create table upwrite.records (
    source              text not null,
    table_name          text not null,
    key                 text not null,         -- as in the synced table
    vendor_version      text,                  -- of the image that was written last
    seen_begun_us       bigint not null,       -- when it was read or written upstream, from … (Unix microseconds)
    seen_ended_us       bigint not null,       -- … to
    by_mutation         boolean not null default false, -- not by an observation
    deleted             boolean not null default false,
    -- Of a record that was deleted: the version under which consumers learned it. Should the record come back, its row's
    -- _version goes on from there: no version, captured or consumed, can then stand for two different rows.
    last_version        bigint,
    primary key (source, table_name, key)
);

-- Images that could not be written because their row or table was locked. Parked in the transaction of the position,
-- and tried again until the lock is gone.
create table upwrite.parked (
    id                  bigint generated always as identity primary key,
    mutation            uuid,                  -- null: an observation
    source              text not null,
    table_name          text not null,
    key                 text not null,
    image               jsonb,                 -- events::Row; null: delete
    vendor_version      text,                  -- as in records, as the next two
    seen_begun_us       bigint not null,
    seen_ended_us       bigint not null,
    parked_at           timestamptz not null default now(),
    -- From which partition the image came: its reconciler is the one that tries again to write it.
    stream              text not null default 'observations',
    partition           smallint not null default 0
);
create index parked_record on upwrite.parked (source, table_name, key);
create index parked_partition on upwrite.parked (stream, partition, id);

-- Images that a constraint of the user's own refused. They are reported and stop nothing.
create table upwrite.conflicts (
    id                  bigint generated always as identity primary key,
    source              text not null,
    table_name          text not null,
    key                 text not null,
    mutation            uuid,                  -- null: an observation
    sqlstate            text not null,         -- as PostgreSQL refused it
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

-- Rows on their way to the topics upwrite.records.*: written in the reconciler's transaction, removed once they are
-- in the topic. Only with the log on Kafka.
create table upwrite.outbox (
    id                  bigint generated always as identity primary key,
    source              text not null,
    table_name          text not null,
    key                 text not null,
    version             bigint not null,       -- the row's _version; of a deleted row the one after its last
    vendor_version      text,
    image               jsonb,                 -- events::Row; null: deleted
    mutation            uuid,                  -- that brought it; null: an observation
    written_at          timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index outbox_table on upwrite.outbox (source, table_name, id);
