-- Row security: one's own mutations, everybody's for monitors. The owner (definer functions) sees all.
alter table upwrite.mutations enable row level security;

drop policy if exists own on upwrite.mutations;
create policy own on upwrite.mutations for select to public
    using (username = current_user or username = session_user);

drop policy if exists monitor on upwrite.mutations;
create policy monitor on upwrite.mutations for select to upwrite_monitor using (true);

drop policy if exists service on upwrite.mutations;
create policy service on upwrite.mutations to upwrite_service using (true) with check (true);
