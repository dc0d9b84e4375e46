-- What the triggers of synced tables write down while a transaction is open, and who may read it.

-- One row per changed row, of transactions that are still open; all others are dead. Ordinary transactional rows, so
-- that rolled-back savepoints and exception blocks leave no trace. Their order in a transaction is `cmin`: each one is
-- written by a command of its own, and the command counter of a transaction only grows, over subtransactions too. (A
-- sequence would show in the users' own lastval().)
create unlogged table upwrite.captured (
    xid                 xid8 not null,         -- of the top-level transaction
    relation            oid not null,          -- the synced table
    op                  "char" not null,       -- 'i' | 'u' | 'd'
    old                 bytea,                 -- record text, UTF-8, under the fixed settings of upwrite.capture()
    new                 bytea                  -- likewise
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
-- Without it, reading slows down as dead rows gather.
create index captured_xid on upwrite.captured (xid);

-- Transactions that have changed a synced table. Its trigger is the veto: see upwrite.veto().
create unlogged table upwrite.armed (
    xid                 xid8 primary key,
    grace               boolean not null default true, -- the veto may be put off once more
    put_off             integer not null default 0     -- how often that happened; its update queues the veto again
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 2000, fillfactor = 50);

-- Connections that the proxy made. A row outlives its connection harmlessly: no other connection knows its secret.
create unlogged table upwrite.secrets (
    pid                 integer primary key,   -- of the backend
    hash                bytea not null,        -- sha256 of the secret
    registered_at       timestamptz not null default now()
) with (fillfactor = 50);
