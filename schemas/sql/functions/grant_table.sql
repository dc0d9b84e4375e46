-- Lets a role use a synced table: select | insert | update | delete | references. Returns whether that changed anything.
-- Only a superuser (setup) may call it.
create or replace function upwrite.grant_table(relation regclass, grantee name, privileges text[]) returns boolean
language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    privilege text;
    schema_oid oid := (select relnamespace from pg_class where oid = relation);
    granted boolean := false;
begin
    if not exists (select from upwrite.tables t where t.relation = grant_table.relation) then
        raise exception using errcode = '42P01', message = format('%s is not a synced table', relation);
    end if;
    if grantee like 'upwrite\_%' then
        raise exception using errcode = '22023', message = format('%I is Upwrite''s own role', grantee);
    end if;
    if not has_schema_privilege(grantee, schema_oid, 'usage') then
        execute format('grant usage on schema %s to %I', schema_oid::regnamespace, grantee);
        granted := true;
    end if;
    foreach privilege in array privileges loop
        if lower(privilege) not in ('select', 'insert', 'update', 'delete', 'references') then
            raise exception using errcode = '22023',
                message = format('%L cannot be granted on a synced table', privilege),
                hint = 'select, insert, update, delete and references can.';
        end if;
        if not has_table_privilege(grantee, relation, privilege) then
            execute format('grant %s on %s to %I', privilege, relation, grantee);
            granted := true;
        end if;
    end loop;
    return granted;
end
$$;

revoke all on function upwrite.grant_table(regclass, name, text[]) from public;
