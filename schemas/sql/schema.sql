-- Schema "upwrite" itself, and the record of what has been run in it. Idempotent; run by `upwrite setup` every time, as a
-- superuser, after roles.sql and before everything else.

create schema if not exists upwrite authorization upwrite_owner;
set local role upwrite_owner;

create table if not exists upwrite.migrations (
    file                text primary key,      -- 'tables/0001_deployment', 'functions/append_batch', …
    sha256              text not null,         -- of its text
    -- What a file of functions/ made, as regprocedure prints it: dropped when a newer text no longer makes it.
    functions           text[] not null default '{}',
    applied_at          timestamptz not null default now()
);

reset role;
