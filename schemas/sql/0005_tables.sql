-- Synced tables: made and altered here and nowhere else. Only a superuser (setup) may call these.
--
--   upwrite.define_table(spec jsonb) -> text[]     makes or widens the table of an events::TableSpec; what it did, as
--                                                  sentences without a full stop; empty: nothing was to be done
--   upwrite.grant_table(relation regclass, grantee name, privileges text[]) -> boolean
--                                                  select | insert | update | delete | references; whether it was news

set local role upwrite_owner;

create function upwrite.define_table(spec jsonb) returns text[] language plpgsql security definer
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
        -- A table that was dropped and made anew is empty, and so is a new column: all of it is read again.
        backfilled_at = case when t.relation = excluded.relation and altered = '{}' then t.backfilled_at end,
        backfill_cursor = case when t.relation = excluded.relation and altered = '{}' then t.backfill_cursor end
    where t.spec is distinct from excluded.spec or t.relation <> excluded.relation or altered <> '{}';
    return done;
end
$$;

-- A type as Postgres names it. Nothing but a type gets through.
create function upwrite.checked_type(sql_type text) returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regtype(sql_type) is null then
        raise exception using errcode = '42704', message = format('type %L does not exist', sql_type);
    end if;
    return sql_type;
end
$$;

-- No NOT NULL but the key's: upstream decides what is required.
create function upwrite.create_table(spec jsonb) returns void language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    source text := spec #>> '{name,source}';
    table_name text := spec #>> '{name,table}';
    columns text;
begin
    select string_agg(format('%I %s', c ->> 'name', upwrite.checked_type(c ->> 'sql_type')), ', ' order by n)
    into columns from jsonb_array_elements(spec -> 'columns') with ordinality as e (c, n);
    execute format(
        'create table %I.%I (%s, _version bigint not null default 0, _synced_at timestamptz, constraint %I primary key (%I))'
        ' with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,'
        ' autovacuum_analyze_scale_factor = 0.05)',
        source, table_name, columns, table_name || '_pkey', spec ->> 'key');
end
$$;

-- What the promises rest on (A4, A11): an ordinary table of ours, alone. Null if it is one; else what is wrong with it.
create function upwrite.table_problem(table_oid oid) returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (select case
        when c.relowner <> (select oid from pg_roles where rolname = 'upwrite_owner') then 'does not belong to upwrite_owner'
        when c.relkind = 'p' then 'is partitioned'
        when c.relispartition then 'is a partition'
        when c.relkind <> 'r' then 'is not a table'
        when exists (select from pg_inherits i where c.oid in (i.inhparent, i.inhrelid)) then 'takes part in inheritance'
        when exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and not i.indimmediate)
            then 'has a deferrable unique constraint'
    end from pg_class c where c.oid = table_oid);
end
$$;

create function upwrite.require_plain_table(table_oid oid) returns void language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    problem text := upwrite.table_problem(table_oid);
begin
    if problem is not null then
        raise exception using
            errcode = '0A000', message = format('%s cannot be a synced table: it %s', table_oid::regclass, problem),
            hint = 'Synced tables are plain tables that Upwrite makes; move this one out of the way.';
    end if;
end
$$;

-- Adds what is missing, changes types that differ. Columns that upstream no longer has are kept.
create function upwrite.alter_columns(table_oid oid, spec jsonb) returns text[] language plpgsql
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

-- The type with its modifier, spelled as format_type spells it: by way of a column that has it.
create function upwrite.canonical_type(sql_type text) returns text language plpgsql
    set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    canonical text;
begin
    execute format('create temporary table upwrite_type_probe (c %s)', upwrite.checked_type(sql_type));
    select format_type(a.atttypid, a.atttypmod) into canonical from pg_attribute a
    where a.attrelid = 'pg_temp.upwrite_type_probe'::regclass and a.attname = 'c';
    drop table pg_temp.upwrite_type_probe;
    return canonical;
end
$$;

-- Placeholders for keys that upstream assigns, and the keys that claims rest on.
create function upwrite.define_keys(table_oid oid, spec jsonb) returns text[] language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    key_column text := spec ->> 'key';
    table_name text := spec #>> '{name,table}';
    key_type regtype;
    key_modifier integer;
    has_default boolean;
    wanted record;
    index_name text;
    done text[] := '{}';
begin
    select a.atttypid::regtype, a.atttypmod, a.atthasdef into key_type, key_modifier, has_default
    from pg_attribute a where a.attrelid = table_oid and a.attname = key_column and not a.attisdropped;
    if not exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                   where i.indrelid = table_oid and i.indisprimary and i.indnkeyatts = 1 and a.attname = key_column) then
        raise exception using errcode = '0A000', message = format('%s has another primary key than %I', table_oid::regclass, key_column);
    end if;

    if (spec ->> 'key_assigned_upstream')::boolean and not has_default then
        if key_type = 'text'::regtype or key_type = 'varchar'::regtype and key_modifier = -1 then
            execute format('alter table %s alter column %I set default (''pending:'' || gen_random_uuid()::text)',
                           table_oid::regclass, key_column);
        elsif key_type in ('bigint'::regtype, 'integer'::regtype, 'smallint'::regtype) then
            -- Ascending from the type's minimum: clients sort by keys (C7).
            execute format('create sequence %I.%I as %s minvalue %s maxvalue -1 start %4$s',
                           spec #>> '{name,source}', table_name || '_pending', key_type,
                           case key_type when 'bigint'::regtype then '-9223372036854775808'
                                         when 'integer'::regtype then '-2147483648' else '-32768' end);
            execute format('alter sequence %I.%I owned by %s.%I', spec #>> '{name,source}', table_name || '_pending',
                           table_oid::regclass, key_column);
            execute format('grant usage on sequence %I.%I to public', spec #>> '{name,source}', table_name || '_pending');
            execute format('alter table %s alter column %I set default nextval(%L)', table_oid::regclass, key_column,
                           format('%I.%I', spec #>> '{name,source}', table_name || '_pending'));
        else
            raise exception using errcode = '0A000',
                message = format('%s: no placeholder fits a key of type %s', table_oid::regclass,
                                 format_type(key_type, key_modifier)),
                hint = 'Keys that upstream assigns are text, or integers of any size.';
        end if;
    end if;

    for wanted in
        select c ->> 'name' as name, (c ->> 'case_sensitive')::boolean as case_sensitive
        from jsonb_array_elements(spec -> 'columns') c where (c ->> 'unique')::boolean and c ->> 'name' <> key_column
    loop
        index_name := left(table_name || '_' || wanted.name, 59) || '_key';
        if exists (select from pg_class where relname = index_name and relkind = 'i'
                   and relnamespace = (select relnamespace from pg_class where oid = table_oid)) then
            continue;
        end if;
        if wanted.case_sensitive then
            execute format('alter table %s add constraint %I unique (%I)', table_oid::regclass, index_name, wanted.name);
        else
            execute format('create unique index %I on %s (lower(%I))', index_name, table_oid::regclass, wanted.name);
        end if;
        done := done || format('declared %s.%I unique', table_oid::regclass, wanted.name);
    end loop;

    -- What applications join by and look up children with.
    for wanted in
        select c ->> 'name' as name from jsonb_array_elements(spec -> 'columns') c where c ->> 'references' is not null
    loop
        index_name := left(table_name || '_' || wanted.name, 59) || '_idx';
        if not exists (select from pg_class where relname = index_name and relkind = 'i'
                       and relnamespace = (select relnamespace from pg_class where oid = table_oid)) then
            execute format('create index %I on %s (%I)', index_name, table_oid::regclass, wanted.name);
            done := done || format('indexed %s.%I', table_oid::regclass, wanted.name);
        end if;
    end loop;
    return done;
end
$$;

-- The conditions are evaluated when the row changes, and cost the reconciler nothing. `pg_trigger_depth() > 0`: code
-- of a user's that runs inside the reconciler's session is not the reconciler (A3).
create function upwrite.define_triggers(table_oid oid) returns text[] language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
    state "char";
    done text[] := '{}';
begin
    for wanted in select * from (values
        ('upwrite_capture', 'after insert or update or delete on %s for each row'
            ' when (session_user <> ''upwrite_reconciler'' or pg_trigger_depth() > 0)', 'upwrite.capture()'),
        ('upwrite_nested', 'before insert or update or delete on %s for each row'
            ' when (session_user = ''upwrite_reconciler'' and pg_trigger_depth() > 0)', 'upwrite.refuse_nested()'),
        ('upwrite_truncate', 'before truncate on %s for each statement', 'upwrite.refuse_truncate()')
    ) as v (name, condition, function)
    loop
        select tgenabled into state from pg_trigger
        where tgrelid = table_oid and tgname = wanted.name and tgfoid = wanted.function::regprocedure;
        if not found then
            execute format('create or replace trigger %I ' || wanted.condition || ' execute function %s',
                           wanted.name, table_oid::regclass, wanted.function);
            done := done || format('put trigger %I on %s', wanted.name, table_oid::regclass);
        end if;
        if state is distinct from 'A' then
            execute format('alter table %s enable always trigger %I', table_oid::regclass, wanted.name);
        end if;
    end loop;
    return done;
end
$$;

create function upwrite.define_comments(table_oid oid, spec jsonb) returns void language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted record;
begin
    if obj_description(table_oid, 'pg_class') is distinct from spec ->> 'comment' then
        execute format('comment on table %s is %L', table_oid::regclass, spec ->> 'comment');
    end if;
    for wanted in
        select a.attname, a.attnum, s.comment from (
            select c ->> 'name' as name, c ->> 'comment' as comment from jsonb_array_elements(spec -> 'columns') c
            union all values ('_version', 'Upwrite: grows with every write of this row; read-only'),
                             ('_synced_at', 'Upwrite: when this row was last written from upstream; read-only')
        ) s join pg_attribute a on a.attrelid = table_oid and a.attname = s.name and not a.attisdropped
    loop
        if col_description(table_oid, wanted.attnum) is distinct from wanted.comment then
            execute format('comment on column %s.%I is %L', table_oid::regclass, wanted.attname, wanted.comment);
        end if;
    end loop;
end
$$;

create function upwrite.grant_table(relation regclass, grantee name, privileges text[]) returns boolean
language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    privilege text;
    schema_oid oid := (select relnamespace from pg_class where oid = relation);
    news boolean := false;
begin
    if not exists (select from upwrite.tables t where t.relation = grant_table.relation) then
        raise exception using errcode = '42P01', message = format('%s is not a synced table', relation);
    end if;
    if grantee like 'upwrite\_%' then
        raise exception using errcode = '22023', message = format('%I is Upwrite''s own role', grantee);
    end if;
    if not has_schema_privilege(grantee, schema_oid, 'usage') then
        execute format('grant usage on schema %s to %I', schema_oid::regnamespace, grantee);
        news := true;
    end if;
    foreach privilege in array privileges loop
        if lower(privilege) not in ('select', 'insert', 'update', 'delete', 'references') then
            raise exception using errcode = '22023',
                message = format('%L cannot be granted on a synced table', privilege),
                hint = 'select, insert, update, delete and references can.';
        end if;
        if not has_table_privilege(grantee, relation, privilege) then
            execute format('grant %s on %s to %I', privilege, relation, grantee);
            news := true;
        end if;
    end loop;
    return news;
end
$$;

revoke all on function
    upwrite.define_table(jsonb), upwrite.checked_type(text), upwrite.create_table(jsonb),
    upwrite.table_problem(oid), upwrite.require_plain_table(oid), upwrite.alter_columns(oid, jsonb), upwrite.canonical_type(text),
    upwrite.define_keys(oid, jsonb), upwrite.define_triggers(oid), upwrite.define_comments(oid, jsonb),
    upwrite.grant_table(regclass, name, text[])
from public;
grant execute on function upwrite.table_problem(oid) to upwrite_service; -- the check at start

reset role;

-- Schemas of sources belong to upwrite_owner too, which therefore makes them.
do $$
begin
    execute format('grant create, temporary on database %I to upwrite_owner', current_database());
end
$$;
