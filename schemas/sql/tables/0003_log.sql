-- The embedded event log. Positions are assigned under the row lock of log_partitions, so readers see no gaps.

create table upwrite.log_partitions (
    stream              text not null check (stream in ('mutations', 'observations')),
    partition           smallint not null,     -- from 0
    next_position       bigint not null default 0,
    primary key (stream, partition)
-- Written by every append: room for new versions beside the old ones.
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table upwrite.log (
    stream              text not null,
    partition           smallint not null,
    position            bigint not null,       -- from 0, without gaps
    event               text not null,         -- name of the event
    mutation            uuid,                  -- null: an event of no single mutation
    value               bytea not null,        -- Avro, single-object encoding
    appended_at         timestamptz not null default clock_timestamp(), -- never goes back within a partition
    primary key (stream, partition, position)
);
alter table upwrite.log alter column value set storage external;

-- Events that could not be read or folded, with the reason. They stop nothing.
create table upwrite.dead_letters (
    id                  bigint generated always as identity primary key,
    stream              text not null,
    partition           smallint not null,
    position            bigint not null,
    reason              text not null,         -- for people
    value               bytea,                 -- as in the log; null: there was none
    noticed_at          timestamptz not null default now(),
    unique (stream, partition, position)
);
