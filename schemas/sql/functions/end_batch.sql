-- The last that a reconciler's transaction does: it decides in the database whether it may commit, so that it can be one
-- statement, in one round trip. Refuses to commit it if it moved fewer positions than it meant to
-- (another reconciler has a newer epoch), or added fewer records to upwrite.records (another one added them first, and
-- this transaction decided without knowing of that). Then releases the claims of `released` mutations.
-- `may_be_lost`: a crash costs nothing but doing it again, so the commit does not wait for the disk.
create or replace function upwrite.end_batch(
    moved bigint, to_move bigint, added bigint, to_add bigint, released uuid[], may_be_lost boolean
) returns void language plpgsql volatile as $$
begin
    if moved <> to_move then
        raise exception using errcode = 'UW003',
            message = format('another reconciler has taken over %s of %s partitions', to_move - moved, to_move);
    end if;
    if added <> to_add then
        raise exception using errcode = 'UW004',
            message = format('another reconciler has written %s of %s new records', to_add - added, to_add);
    end if;
    perform upwrite.release_claims(released);
    if may_be_lost then
        -- Not by SET on the function: that would end before the commit.
        perform set_config('synchronous_commit', 'off', true);
    end if;
end $$;

revoke all on function upwrite.end_batch(bigint, bigint, bigint, bigint, uuid[], boolean) from public;
grant execute on function upwrite.end_batch(bigint, bigint, bigint, bigint, uuid[], boolean) to upwrite_reconciler;
