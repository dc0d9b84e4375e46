-- Upstream's labels as comments, which clients show.
create or replace function upwrite.define_comments(table_oid oid, spec jsonb) returns void language plpgsql
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

revoke all on function upwrite.define_comments(oid, jsonb) from public;
