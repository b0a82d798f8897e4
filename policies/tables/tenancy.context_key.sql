-- The keys that sign contexts. Whoever reads them can be anyone: only the owner can, through tenancy.context().
alter table tenancy.context_key enable row level security, force row level security;

-- The definer function tenancy.context() reads the keys as the owner.
create policy owner on tenancy.context_key to affidavit_owner using (true) with check (true);

-- Not granted: anything, to anyone.
