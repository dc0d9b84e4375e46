-- Adds what is missing, changes types that differ. Columns that upstream no longer has are kept.
create or replace function upwrite.alter_columns(table_oid oid, spec jsonb) returns text[] language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
    present text;
    done text[] := '{}';
begin
    for wanted in
        select c ->> 'name' as name, upwrite.checked_type(c ->> 'sql_type') as type
        from jsonb_array_elements(spec -> 'columns') with ordinality as e (c, n)
        union all values ('_version', 'bigint'), ('_synced_at', 'timestamptz')
    loop
        select format_type(a.atttypid, a.atttypmod) into present from pg_attribute a
        where a.attrelid = table_oid and a.attname = wanted.name and a.attnum > 0 and not a.attisdropped;
        if not found then
            execute format('alter table %s add column %I %s%s', table_oid::regclass, wanted.name, wanted.type,
                           case wanted.name when '_version' then ' not null default 0' else '' end);
            done := done || format('added column %I to %s', wanted.name, table_oid::regclass);
        elsif present <> upwrite.canonical_type(wanted.type) then
            execute format('alter table %s alter column %I type %s using %2$I::text::%3$s',
                           table_oid::regclass, wanted.name, wanted.type);
            done := done || format('changed %s.%I from %s to %s', table_oid::regclass, wanted.name, present, wanted.type);
        end if;
    end loop;
    return done;
end
$$;

revoke all on function upwrite.alter_columns(oid, jsonb) from public;
