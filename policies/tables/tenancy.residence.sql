-- Which tenants whose rows are here are at home here, since which epoch, and which come or have gone.
alter table tenancy.residence enable row level security, force row level security;

-- The operator moves tenants; tenancy.context() refuses those that are not at home as the owner.
create policy owner on tenancy.residence to affidavit_owner using (true) with check (true);

-- Not granted: anything, to anyone. Whoever could write here could lift the fence around a tenant that has moved.
