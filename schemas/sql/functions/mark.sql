-- JSON {"locks":[…],"armed":bool}: what this transaction holds (compare before and after), as upwrite.locks has it, and
-- whether it has changed a synced table already.
create or replace function upwrite.mark() returns text language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return json_build_object('locks', upwrite.locks(), 'armed', upwrite.is_armed())::text;
end
$$;
