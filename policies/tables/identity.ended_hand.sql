-- Who could act as a user, or owned a key, and does no more.
alter table identity.ended_hand enable row level security, force row level security;

-- The owner's functions note who that was, and compare it with who decides.
create policy kept on identity.ended_hand to affidavit_owner using (true) with check (true);
-- Not granted: anything, to anyone.
