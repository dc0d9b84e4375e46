-- What the reconciler has folded of the log.

-- How far the reconciler has folded each partition; written in the transaction of the effects (exactly once).
create table upwrite.positions (
    stream              text not null,
    partition           smallint not null,
    next_position       bigint not null default 0, -- the first one not yet folded
    owner               uuid,                  -- the partition's applier (marker), as of that position
    epoch               bigint not null default 0, -- of the reconciler that writes; compare-and-set
    updated_at          timestamptz not null default now(),
    -- When the last folded event was appended, in the log's clock (Unix microseconds): a log that was set back and
    -- written again has another event there.
    stamp_us            bigint,
    primary key (stream, partition)
);

-- One row per mutation: what operators and clients read. A projection of the log.
create table upwrite.mutations (
    id                  uuid primary key,
    state               text not null,         -- events::Phase
    source              text not null,         -- of the first row changed
    table_name          text not null,         -- likewise
    operation           text not null,         -- insert | update | delete | mixed
    row_count           integer not null,
    applied_count       integer not null default 0,
    keys                text[],                -- upstream keys in row order; null where not applied
    database            text not null,         -- of the client's session, as the next two
    username            text not null,
    application_name    text not null,
    attempts            integer not null default 0,
    sqlstate            text,                  -- the verdict's, as are the next three; null: success
    message             text,
    detail              text,
    hint                text,
    upstream_code       text,                  -- what upstream calls the failure
    upstream_request_id text,                  -- to ask the vendor about
    requested_at        timestamptz not null,
    accepted_at         timestamptz,           -- in the log
    attempted_at        timestamptz,           -- latest attempt in the log
    answered_at         timestamptz,           -- outcome in the log
    finished_at         timestamptz,           -- verdict, with the synced table showing it
    settled_at          timestamptz,           -- claims released
    not_before          timestamptz,           -- next attempt, while deferred
    revocation_requested boolean not null default false,
    outlived_rollback   boolean not null default false, -- the client's block was rolled back, and this was sent already
    traceparent         text,                  -- W3C trace context, as the client gave it
    redrive_of          uuid,                  -- the mutation that this one repeats
    partition           smallint not null,
    position            bigint not null,       -- of its request in the log
    failure             jsonb,                 -- events::Failure
    lifecycle           jsonb not null,        -- events::Lifecycle: what a restart goes on from
    released            boolean not null default false -- nothing can come any more
) with (fillfactor = 70);
create index mutations_unreleased on upwrite.mutations (partition) where not released;
create index mutations_requested_at on upwrite.mutations (requested_at);
