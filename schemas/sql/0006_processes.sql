-- What running as several processes, with the log on Kafka, needs beyond 0005. Existing columns keep their meaning.

set local role upwrite_owner;

-- The log's own identity (a Kafka cluster's id; null on the embedded engine) and the timeline of the database. Compared
-- at every start: a mismatch means a restore, a failover to an older state, or another deployment's log.
alter table upwrite.deployment
    add log_cluster text,
    add timeline    integer;
update upwrite.deployment set timeline = (select timeline_id from pg_control_checkpoint());
alter table upwrite.deployment alter timeline set not null;
alter table upwrite.deployment alter timeline set default 1;

-- Not null: why no new mutation is accepted and no stage starts (`upwrite ctl recover` closes the gate and opens it again).
alter table upwrite.deployment add gate text;
create function upwrite.gate() returns text language sql stable as $$ select d.gate from upwrite.deployment d $$;
grant execute on function upwrite.gate() to upwrite_service, upwrite_reconciler;
grant update (gate, system_identifier, timeline, log_cluster) on upwrite.deployment to upwrite_reconciler;

-- Which partition of the mutations stream the claim's request belongs to: the partition's reconciler ends claims whose
-- request never came, by a MutationVoided there. Null: claimed by a version before this one.
alter table upwrite.claims add partition smallint;
create index claims_by_age on upwrite.claims (partition, claimed_at);

-- When the last folded record was appended, in the log's clock (Unix microseconds): a log that was set back and filled
-- anew has another record there.
alter table upwrite.positions add stamp_us bigint;

-- From which partition an image came: its reconciler is the one that tries again to write it.
alter table upwrite.parked add stream text, add partition smallint;
update upwrite.parked p set stream = 'mutations', partition = m.partition from upwrite.mutations m where m.id = p.mutation;
-- Observations know no mutation, and any reconciler may take them: the first partition's does.
update upwrite.parked set stream = 'observations', partition = 0 where stream is null;
alter table upwrite.parked
    alter stream set not null, alter stream set default 'observations',
    alter partition set not null, alter partition set default 0;
create index parked_partition on upwrite.parked (stream, partition, id);

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

-- What is left of each source's rate budget, which all processes take slices of. A crash may forget it.
create unlogged table upwrite.budgets (
    source              text primary key,
    tokens              float8 not null,       -- requests that may go, as of "at"
    at                  timestamptz not null default clock_timestamp(),
    writes_until        timestamptz not null default to_timestamp(0)  -- a write waits: reads get nothing before that
) with (fillfactor = 50);

grant select, insert, update on upwrite.budgets to upwrite_service;
grant select, insert, update, delete on upwrite.processes to upwrite_service, upwrite_reconciler;
grant select, insert, delete on upwrite.outbox to upwrite_reconciler;
grant select, delete on upwrite.outbox to upwrite_service;
grant select on upwrite.processes, upwrite.outbox to upwrite_monitor;

-- Ends the claims of mutations. Another reconciler may be adding one for a record that such a mutation has
-- created: it holds a lock on a claim of that mutation meanwhile, and a statement that waited for that lock does not see what
-- was added under it. So it looks again, until there is nothing left. VOLATILE: each look has a snapshot of its own.
create function upwrite.release_claims(mutations uuid[]) returns void language plpgsql volatile as $$
begin
    if cardinality(mutations) = 0 then
        return;
    end if;
    loop
        delete from upwrite.claims c where c.mutation = any (mutations);
        exit when not found;
    end loop;
end $$;
revoke execute on function upwrite.release_claims(uuid[]) from public;
grant execute on function upwrite.release_claims(uuid[]) to upwrite_reconciler;

-- As in 0002, with two things more: a claim knows its partition, and an item without events only claims (answered as
-- 'accepted' without position and time).
create or replace function upwrite.append_batch(
    item_stream text[], item_partition smallint[], item_mutation uuid[],
    claim_item int[], claim_source text[], claim_table text[], claim_key text[],
    version_item int[], version_source text[], version_table text[], version_key text[], version_wanted bigint[],
    event_item int[], event_name text[], event_mutation uuid[], event_value bytea[]
) returns table (item int, outcome text, first_position bigint, at_us bigint, claim int, claimed_by uuid)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    lost    int[];                -- indexes into claim_*: not inserted, somebody has them
    refused int[] := '{}';        -- items with a lost claim
    stale   int[] := '{}';
    expected bigint;
    written  bigint;
    appended timestamptz;
begin
    -- A claim that a crash forgets while the mutation goes on would let a second one in. Not by SET on the function:
    -- that would end before the commit.
    if current_setting('synchronous_commit') in ('off', 'local') then
        perform set_config('synchronous_commit', 'on', true);
    end if;

    if cardinality(claim_item) > 0 then
        insert into upwrite.claims (source, table_name, key, mutation, partition)
        select w.source, w.table_name, w.key, item_mutation[w.item], item_partition[w.item]
          from unnest(claim_item, claim_source, claim_table, claim_key)
               with ordinality as w (item, source, table_name, key, n)
         order by w.n
            on conflict do nothing;
        get diagnostics written = row_count;

        -- Behind the claims, not before: whoever closes the gate then waits for those who write claims, and after that
        -- nobody gets by.
        if exists (select from upwrite.deployment d where d.gate is not null) then
            raise exception using
                errcode = '58030',
                message = (select 'no new mutation is accepted: ' || d.gate from upwrite.deployment d),
                hint = 'Run `upwrite ctl recover` to its end.';
        end if;

        if written < cardinality(claim_item) then
            -- Whatever of them this transaction has not written is somebody else's, or was until just now.
            select array_agg(w.n::int order by w.n), array_agg(distinct w.item)
              into lost, refused
              from unnest(claim_item, claim_source, claim_table, claim_key)
                   with ordinality as w (item, source, table_name, key, n)
             where not exists (select from upwrite.claims c
                                where c.source = w.source and c.table_name = w.table_name and c.key = w.key
                                  and c.xmin = pg_current_xact_id()::xid);

            return query
            select distinct on (claim_item[l.n])
                   claim_item[l.n], case when c.mutation is null then 'stale' else 'claimed' end,
                   null::bigint, null::bigint, l.n, c.mutation
              from unnest(lost) as l (n)
              left join upwrite.claims c on c.source = claim_source[l.n] and c.table_name = claim_table[l.n]
                                        and c.key = claim_key[l.n]
             order by claim_item[l.n], c.mutation is null, l.n;
        end if;
    end if;

    if cardinality(version_item) > 0 then
        with wanted as materialized (
            select v.item, t.relation, v.key, v.version
              from unnest(version_item, version_source, version_table, version_key, version_wanted)
                   as v (item, source, table_name, key, version)
              left join upwrite.tables t on t.source = v.source and t.table_name = v.table_name
             where v.item <> all (refused)
        ), asked as (
            select w.relation, array_agg(distinct w.key) as keys from wanted w where w.relation is not null
             group by w.relation
        ), found as materialized (
            select a.relation, f.key, f.version from asked a, upwrite.versions(a.relation, a.keys) f
        )
        select coalesce(array_agg(distinct w.item), '{}')
          into stale
          from wanted w
          left join found f on f.relation = w.relation and f.key = w.key
         where w.relation is null or f.version is distinct from w.version;

        if stale <> '{}' then
            return query select s, 'stale', null::bigint, null::bigint, null::int, null::uuid from unnest(stale) s;
        end if;
    end if;

    if refused <> '{}' or stale <> '{}' then
        delete from upwrite.claims c
         using unnest(claim_item, claim_source, claim_table, claim_key) as w (item, source, table_name, key)
         where c.source = w.source and c.table_name = w.table_name and c.key = w.key
           and c.xmin = pg_current_xact_id()::xid
           and (w.item = any (refused) or w.item = any (stale));
    end if;

    -- Claims alone: the request goes to a log that is not here.
    return query
    select i, 'accepted', null::bigint, null::bigint, null::int, null::uuid
      from generate_subscripts(item_stream, 1) as i
     where i <> all (event_item) and i <> all (refused) and i <> all (stale);

    select count(*) into expected from unnest(event_item) e where e <> all (refused) and e <> all (stale);
    if expected = 0 then
        return;
    end if;

    -- In one global order.
    perform from upwrite.log_partitions p
      where (p.stream, p.partition) in (
                select item_stream[e], item_partition[e] from unnest(event_item) e
                 where e <> all (refused) and e <> all (stale))
      order by p.stream, p.partition
        for no key update;

    -- After the lock: then the times of a partition never go back, whichever process appends.
    appended := clock_timestamp();

    return query
    with events as materialized (
        select e.item, e.n, item_stream[e.item] as stream, item_partition[e.item] as partition,
               row_number() over (partition by item_stream[e.item], item_partition[e.item] order by e.n) - 1 as place
          from unnest(event_item) with ordinality as e (item, n)
         where e.item <> all (refused) and e.item <> all (stale)
    ), moved as (
        update upwrite.log_partitions p
           set next_position = p.next_position + c.events
          from (select e.stream, e.partition, count(*) as events from events e group by 1, 2) c
         where p.stream = c.stream and p.partition = c.partition
        returning p.stream, p.partition, p.next_position - c.events as base
    ), inserted as (
        insert into upwrite.log (stream, partition, position, event, mutation, value, appended_at)
        select e.stream, e.partition, m.base + e.place, event_name[e.n], event_mutation[e.n], event_value[e.n], appended
          from events e join moved m on m.stream = e.stream and m.partition = e.partition
         order by e.n
    )
    select e.item, 'accepted', min(m.base + e.place), (extract(epoch from appended) * 1000000)::bigint,
           null::int, null::uuid
      from events e join moved m on m.stream = e.stream and m.partition = e.partition
     group by e.item;

    -- Only a counter that is missing can make a difference; then nothing may be committed.
    get diagnostics written = row_count;
    select count(distinct e) into expected from unnest(event_item) e where e <> all (refused) and e <> all (stale);
    if written <> expected then
        raise exception 'the event log has no such partition';
    end if;
end $$;

reset role;

-- Rebuilding puts the log's images into temporary tables beside the synced ones.
do $$
begin
    execute format('grant temporary on database %I to upwrite_reconciler', current_database());
end
$$;
