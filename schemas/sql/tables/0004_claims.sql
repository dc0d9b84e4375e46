-- One row per record that an unfinished mutation changes.
create table upwrite.claims (
    source              text not null,
    table_name          text not null,
    key                 text not null,         -- '<column>=<value, folded as upstream compares it>'
    mutation            uuid not null,         -- which has it
    claimed_at          timestamptz not null default clock_timestamp(),
    -- Of the mutations stream, where the claim's request belongs: the partition's reconciler ends claims whose request
    -- never came, by a MutationVoided there. Null: no reconciler does.
    partition           smallint,
    primary key (source, table_name, key)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, fillfactor = 70);
create index claims_mutation on upwrite.claims (mutation);
create index claims_by_age on upwrite.claims (partition, claimed_at);
