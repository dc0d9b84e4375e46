-- Ends the claims of mutations. Another reconciler may be adding one for a record that such a mutation has created: it
-- holds a lock on a claim of that mutation meanwhile, and a statement that waited for that lock does not see what was
-- added under it. So it looks again, until there is nothing left. VOLATILE: each look has a snapshot of its own.
create or replace function upwrite.release_claims(mutations uuid[]) returns void language plpgsql volatile as $$
begin
    if cardinality(mutations) = 0 then
        return;
    end if;
    loop
        delete from upwrite.claims c where c.mutation = any (mutations);
        exit when not found;
    end loop;
end $$;

revoke all on function upwrite.release_claims(uuid[]) from public;
grant execute on function upwrite.release_claims(uuid[]) to upwrite_reconciler;
