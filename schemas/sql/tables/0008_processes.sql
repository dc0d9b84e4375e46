-- What the processes of a deployment have in common.

-- What runs, for `upwrite ctl status`: each process writes its own row every few seconds. Nothing rests on it.
create table upwrite.processes (
    id                  uuid primary key,
    host                text not null,
    pid                 integer not null,
    version             text not null,
    stages              text[] not null,       -- proxy | applier | reconciler | syncer | control
    started_at          timestamptz not null default now(),
    seen_at             timestamptz not null default now(),
    status              jsonb not null         -- by stage; see docs/operations.md
);

-- What is left of each source's rate budget, which all processes take slices of. A crash may forget it.
create unlogged table upwrite.budgets (
    source              text primary key,
    tokens              float8 not null,       -- requests that may go, as of "at"
    at                  timestamptz not null default clock_timestamp(),
    writes_until        timestamptz not null default to_timestamp(0)  -- a write waits: reads get nothing before that
) with (fillfactor = 50);
