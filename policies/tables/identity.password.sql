-- Password hashes.
alter table identity.password enable row level security, force row level security;

-- A hash is read only while its user signs in: the context then names the user who was presented, and nobody is a caller.
create policy signing_in on identity.password for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id::text = (select tenancy.presented('password_of')));
-- Who manages users sets the first password of a new one, who has no role yet: whoever signs in through a provider gets none.
create policy managed on identity.password for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and not exists (select from identity.user_role r where r.tenant_id = password.tenant_id and r.user_id = password.user_id));
-- The operator sets tenants up.
create policy operator on identity.password to affidavit_owner using (true) with check (true);

grant select, insert on identity.password to affidavit_runtime;
-- Not granted: update, delete.
