-- The users whom a tenant's provider keeps here, and what it says of them.
alter table identity.provisioned_user enable row level security, force row level security;

-- The provider sees, adds, changes and forgets its own.
create policy own on identity.provisioned_user to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage')));
-- Who manages users sees which of them the provider keeps.
create policy managed on identity.provisioned_user for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
-- Which roles the groups of a user stand for is found as the owner.
create policy operator on identity.provisioned_user for select to affidavit_owner using (true);

grant select, delete on identity.provisioned_user to affidavit_runtime;
grant insert (tenant_id, user_id, issuer_id, user_name, external_id, attributes) on identity.provisioned_user to affidavit_runtime;
grant update (user_name, external_id, attributes, changed_at) on identity.provisioned_user to affidavit_runtime;
-- Not granted: update of whose it is.
