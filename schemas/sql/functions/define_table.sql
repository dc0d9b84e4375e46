-- Synced tables are made and altered here and nowhere else, and only by a superuser (setup).
-- Makes or widens the table of an events::TableSpec, given as JSON. Returns what it did, as sentences without a full stop;
-- empty: nothing was to be done.
create or replace function upwrite.define_table(spec jsonb) returns text[] language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    source text := spec #>> '{name,source}';
    table_name text := spec #>> '{name,table}';
    key_column text := spec ->> 'key';
    name text := format('%I.%I', source, table_name);
    table_oid oid;
    altered text[] := '{}';
    done text[] := '{}';
begin
    if source is null or table_name is null or key_column is null then
        raise exception using errcode = '22023', message = 'a table needs a source, a name and a key';
    end if;
    if source in ('upwrite', 'public', 'information_schema') or source like 'pg\_%' then
        raise exception using errcode = '22023', message = format('%I cannot be the schema of a source', source);
    end if;
    perform pg_advisory_xact_lock(hashtextextended('upwrite.define_table ' || name, 0));

    if not exists (select from pg_namespace where nspname = source) then
        execute format('create schema %I', source);
        done := done || format('created schema %I', source);
    end if;
    execute format('grant usage on schema %I to upwrite_reconciler', source);

    table_oid := to_regclass(name);
    if table_oid is null then
        perform upwrite.create_table(spec);
        table_oid := name::regclass;
        done := done || format('created table %s', name);
    else
        perform upwrite.require_plain_table(table_oid);
        altered := upwrite.alter_columns(table_oid, spec);
        done := done || altered;
    end if;
    done := done || upwrite.define_keys(table_oid, spec);
    done := done || upwrite.define_triggers(table_oid);
    perform upwrite.define_comments(table_oid, spec);
    execute format('grant select, insert, update, delete on %s to upwrite_reconciler', name);

    insert into upwrite.tables as t (relation, source, table_name, spec) values (table_oid, source, table_name, spec)
    on conflict on constraint tables_source_table_name_key do update set
        spec = excluded.spec,
        relation = excluded.relation,
        -- A table that was dropped and made again is empty, and so is a new column: all of it is read again.
        backfilled_at = case when t.relation = excluded.relation and altered = '{}' then t.backfilled_at end,
        backfill_cursor = case when t.relation = excluded.relation and altered = '{}' then t.backfill_cursor end
    where t.spec is distinct from excluded.spec or t.relation <> excluded.relation or altered <> '{}';
    return done;
end
$$;

revoke all on function upwrite.define_table(jsonb) from public;
