-- Password hashes.
alter table identity.password enable row level security, force row level security;

-- Who manages users sets the first password of a new one, who has no role yet and counts as the person who knows it: whoever
-- signs in through a provider gets none.
create policy managed on identity.password for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and exists (select from identity."user" u where u.tenant_id = password.tenant_id and u.id = password.user_id
      and u.credentials_of = (select identity.acting_user()))
    and not exists (select from identity.user_role r where r.tenant_id = password.tenant_id and r.user_id = password.user_id));
-- The operator sets tenants up, and a hash is found as the owner.
create policy operator on identity.password to affidavit_owner using (true) with check (true);

grant insert (tenant_id, user_id, hash) on identity.password to affidavit_runtime;
-- Not granted: select, which identity.presented_password() does for who signs in; update, delete.
