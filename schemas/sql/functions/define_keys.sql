-- Placeholders for keys that upstream assigns, and the keys that claims rest on.
create or replace function upwrite.define_keys(table_oid oid, spec jsonb) returns text[] language plpgsql
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

revoke all on function upwrite.define_keys(oid, jsonb) from public;
