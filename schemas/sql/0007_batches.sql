-- Fewer and shorter statements on the way of a held write.

set local role upwrite_owner;

-- Of a record that was deleted: the version under which its deletion was told. Should it come back, its row's _version
-- goes on from there: neither a captured version nor a consumer's can then stand for two different rows.
alter table upwrite.records add last_version bigint;

-- The last that a reconciler's transaction does: it decides in the database whether it may commit, so that it can be one
-- statement, in one round trip. Refuses to commit it if it moved fewer positions than it meant to
-- (another reconciler has a newer epoch), or added fewer records to upwrite.records (another one added them first, and
-- this transaction decided without knowing of that). Then releases the claims of `released` mutations.
-- `may_be_lost`: a crash costs nothing but doing it again, so nobody waits for the disk.
create function upwrite.end_batch(
    moved bigint, to_move bigint, added bigint, to_add bigint, released uuid[], may_be_lost boolean
) returns void language plpgsql volatile as $$
begin
    if moved <> to_move then
        raise exception using errcode = 'UW003',
            message = format('another reconciler has taken over %s of %s partitions', to_move - moved, to_move);
    end if;
    if added <> to_add then
        raise exception using errcode = 'UW004',
            message = format('another reconciler has written %s of %s new records', to_add - added, to_add);
    end if;
    perform upwrite.release_claims(released);
    if may_be_lost then
        -- Not by SET on the function: that would end before the commit.
        perform set_config('synchronous_commit', 'off', true);
    end if;
end $$;
revoke execute on function upwrite.end_batch(bigint, bigint, bigint, bigint, uuid[], boolean) from public;
grant execute on function upwrite.end_batch(bigint, bigint, bigint, bigint, uuid[], boolean) to upwrite_reconciler;

-- As in 0006, with a shorter way for one event alone.
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

    -- The ordinary case, one event alone: the general one costs more than twice as much.
    if cardinality(item_stream) = 1 and cardinality(event_item) = 1 and refused = '{}' and stale = '{}' then
        -- RETURNING comes after the lock: the times of a partition never go back, whichever process appends.
        update upwrite.log_partitions p set next_position = p.next_position + 1
         where p.stream = item_stream[1] and p.partition = item_partition[1]
        returning p.next_position - 1, clock_timestamp() into first_position, appended;
        if not found then
            raise exception 'the event log has no such partition';
        end if;
        insert into upwrite.log (stream, partition, position, event, mutation, value, appended_at)
        values (item_stream[1], item_partition[1], first_position, event_name[1], event_mutation[1], event_value[1],
                appended);
        item := 1;
        outcome := 'accepted';
        at_us := (extract(epoch from appended) * 1000000)::bigint;
        return next;
        return;
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

-- All that the proxy wants to know of a dry run, in one call: first a row with nothing but `session`, as upwrite.session()
-- has it, then the changes, as upwrite.changes() has them. `secret` as there.
create function upwrite.dry_run(secret text)
returns table (seq bigint, relation oid, op "char", old bytea, new bytea, session text)
language plpgsql volatile security definer rows 10
    set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
begin
    perform upwrite.check_secret(dry_run.secret);
    session := json_build_object(
        'session_user', session_user, 'database', current_database(),
        'application_name', current_setting('application_name'),
        'isolation', current_setting('transaction_isolation'),
        'settings', json_build_object(
            'upwrite.apply', current_setting('upwrite.apply', true),
            'upwrite.ack', current_setting('upwrite.ack', true),
            'upwrite.hold_timeout', current_setting('upwrite.hold_timeout', true),
            'upwrite.on_timeout', current_setting('upwrite.on_timeout', true),
            'upwrite.on_rollback', current_setting('upwrite.on_rollback', true),
            'upwrite.idempotency_key', current_setting('upwrite.idempotency_key', true),
            'upwrite.traceparent', current_setting('upwrite.traceparent', true)),
        'statement_timeout_ms', (extract(epoch from current_setting('statement_timeout')::interval) * 1000)::bigint,
        'lock_timeout_ms', (extract(epoch from current_setting('lock_timeout')::interval) * 1000)::bigint,
        'locks', upwrite.locks());
    return next;
    return query
        select c.cmin::text::bigint as number, c.relation, c.op, c.old, c.new, null
        from upwrite.captured c where c.xid = pg_current_xact_id_if_assigned() order by number;
end
$$;

reset role;
