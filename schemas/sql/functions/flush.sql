-- Checks every deferred constraint now; the veto is put off.
-- Invoker's rights: users' own deferred triggers must not run as anybody else.
create or replace function upwrite.flush() returns void language plpgsql as $$
begin
    perform upwrite.rearm();
    set constraints all immediate;
end
$$;
