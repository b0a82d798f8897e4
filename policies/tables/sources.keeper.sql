-- Everybody who ever made or changed a source.
alter table sources.keeper enable row level security, force row level security;

-- The owner's functions note who that is, and compare it with who decides.
create policy kept on sources.keeper to affidavit_owner using (true) with check (true);
-- Not granted: anything, to anyone.
