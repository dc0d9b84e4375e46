-- Synced tables. The tables themselves are made by upwrite.define_table.
create table upwrite.tables (
    relation            oid primary key,       -- of the synced table
    source              text not null,         -- its schema: a source of the configuration
    table_name          text not null,
    spec                jsonb not null,        -- events::TableSpec
    backfilled_at       timestamptz,           -- null until the first backfill has been merged
    backfill_cursor     text,                  -- where the syncer goes on after a restart
    unique (source, table_name)
);
