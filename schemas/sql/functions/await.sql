-- One's own mutations (everybody's for members of upwrite_monitor). Waits until the mutation has its verdict and the
-- synced table shows it, or until `timeout` has passed: then the row as it is, or none if the id is (still) not known.
create or replace function upwrite.await(id uuid, timeout interval default '10s') returns setof upwrite.mutations
language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    until timestamptz := clock_timestamp() + timeout;
    pause double precision := 0.005;
    found_row upwrite.mutations;
    sees_all boolean := pg_has_role(session_user, 'upwrite_monitor', 'usage');
begin
    loop
        select m.* into found_row from upwrite.mutations m
        where m.id = await.id and (sees_all or m.username = session_user);
        exit when found_row.finished_at is not null or clock_timestamp() >= until;
        if current_setting('transaction_isolation') <> 'read committed' then
            raise exception using
                errcode = '0A000',
                message = format('upwrite.await cannot see news in a %s transaction',
                                 upper(current_setting('transaction_isolation'))),
                hint = 'Call it in a READ COMMITTED transaction, or outside of one.';
        end if;
        perform pg_sleep(pause);
        pause := least(pause * 2, 0.1);
    end loop;
    if found_row.id is not null then
        return next found_row;
    end if;
end
$$;
