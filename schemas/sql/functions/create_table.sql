-- No NOT NULL but the key's: upstream decides what is required.
create or replace function upwrite.create_table(spec jsonb) returns void language plpgsql
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

revoke all on function upwrite.create_table(jsonb) from public;
