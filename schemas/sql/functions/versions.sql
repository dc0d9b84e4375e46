-- The rows that exist of these keys, with their versions: for the log's version check. Not under the caller's snapshot:
-- VOLATILE. As the table's owner: row security and the user's privileges play no part (A18).
create or replace function upwrite.versions(relation oid, keys text[])
returns table (key text, version bigint) language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
as $$
declare
    key_column text;
    key_type text;
begin
    select t.spec ->> 'key', format_type(a.atttypid, null) into key_column, key_type
    from upwrite.tables t
    join pg_attribute a on a.attrelid = t.relation and a.attname = t.spec ->> 'key' and not a.attisdropped
    where t.relation = versions.relation;
    if not found then
        raise exception using errcode = '42P01', message = format('%s is not a synced table', relation::regclass);
    end if;
    return query execute format('select %1$I::text, _version from %2$s where %1$I = any ($1::%3$s[])',
                                key_column, relation::regclass, key_type) using keys;
end
$$;

revoke all on function upwrite.versions(oid, text[]) from public;
grant execute on function upwrite.versions(oid, text[]) to upwrite_service;
