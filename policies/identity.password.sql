-- Password hashes.
alter table identity.password enable row level security, force row level security;

-- A hash is read only while its user signs in: the context then names the user who was presented, and nobody is a caller.
create policy signing_in on identity.password for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id::text = (select tenancy.presented('password_of')));
-- Who manages users sets the first password of a new one.
create policy managed on identity.password for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
-- The operator sets tenants up.
create policy operator on identity.password to affidavit_owner using (true) with check (true);

grant select, insert on identity.password to affidavit_runtime;
-- Not granted: update, delete.
