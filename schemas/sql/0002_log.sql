-- The embedded log and claims: one function that appends whatever a process has queued, in one transaction with one
-- synchronous commit; and what each role may do with these tables. Needs 0001_schema.sql.

set local role upwrite_owner;

-- The counters are written by every append: room for new versions beside the old ones.
alter table upwrite.log_partitions set
    (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Makes the counters of partitions that have none yet (a new database, or a new stream), and returns how many
-- partitions each stream has; null if `upwrite setup` has not yet run. A counter starts behind what the log holds.
create function upwrite.open_log() returns smallint
language plpgsql volatile as $$
declare
    wanted smallint := (select d.partitions from upwrite.deployment d);
begin
    insert into upwrite.log_partitions (stream, partition, next_position)
    select s.stream, n,
           coalesce((select max(l.position) + 1 from upwrite.log l where l.stream = s.stream and l.partition = n), 0)
      from unnest(array['mutations', 'observations']) as s (stream), generate_series(0, wanted - 1) as n
        on conflict do nothing;
    return wanted;
end $$;

-- Appends a batch of items, each all or nothing: claims, version check, events. Items count from 1; arrays of one
-- prefix belong together, element by element. Answers one row per item:
--   'accepted'  first_position and at_us (Unix time, microseconds) say where and when its events stand
--   'claimed'   claim (index into claim_*) belongs to the unfinished mutation claimed_by
--   'stale'     a row is not at the version that was captured (or a claim was released just now: look again)
-- An item that is not accepted leaves nothing behind.
--
-- Two rules keep several processes, and the reconciler's deletions, free of deadlocks: claims are inserted in the
-- order of the arrays, which the caller has sorted by (source, table_name, key) bytewise over the whole batch; and no
-- counter is locked before the last claim is in. The caller makes sure that no key occurs twice in a batch.
--
-- It must be VOLATILE and run under READ COMMITTED: then each statement has a snapshot of its own, and the version
-- check reads what was committed by whomever the claims waited for. In one statement with the claims it would get the
-- claim and read the row as it was before.
--
-- Its statements are written for generic plans: the appender's connection forces them, because planning anew for every
-- batch costs more than the batch.
create function upwrite.append_batch(
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
        insert into upwrite.claims (source, table_name, key, mutation)
        select w.source, w.table_name, w.key, item_mutation[w.item]
          from unnest(claim_item, claim_source, claim_table, claim_key)
               with ordinality as w (item, source, table_name, key, n)
         order by w.n
            on conflict do nothing;
        get diagnostics written = row_count;

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

revoke execute on function upwrite.open_log() from public;
revoke execute on function upwrite.append_batch(
    text[], smallint[], uuid[], int[], text[], text[], text[], int[], text[], text[], text[], bigint[], int[], text[],
    uuid[], bytea[]) from public;

-- The service appends (with its own rights: none of these functions is SECURITY DEFINER); the reconciler releases
-- claims, and claims the real ids of what was created.
grant usage on schema upwrite to upwrite_service, upwrite_reconciler;
grant execute on function upwrite.open_log() to upwrite_service;
grant execute on function upwrite.append_batch(
    text[], smallint[], uuid[], int[], text[], text[], text[], int[], text[], text[], text[], bigint[], int[], text[],
    uuid[], bytea[]) to upwrite_service;
grant select on upwrite.deployment, upwrite.tables to upwrite_service, upwrite_reconciler;
grant select, insert on upwrite.log to upwrite_service;
grant select, insert, update on upwrite.log_partitions to upwrite_service;
grant select, insert, delete on upwrite.claims to upwrite_service;
grant select on upwrite.log, upwrite.log_partitions to upwrite_reconciler;
grant select, insert, delete on upwrite.claims to upwrite_reconciler;

reset role;
