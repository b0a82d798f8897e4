-- The groups that a tenant's provider keeps here.
alter table identity.provisioned_group enable row level security, force row level security;

-- The provider sees, adds, changes and deletes its own.
create policy own on identity.provisioned_group to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage')));
-- Who manages users sees them.
create policy managed on identity.provisioned_group for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
-- Which roles they stand for is found as the owner.
create policy operator on identity.provisioned_group for select to affidavit_owner using (true);

grant select, delete on identity.provisioned_group to affidavit_runtime;
grant insert (tenant_id, id, issuer_id, display_name, external_id) on identity.provisioned_group to affidavit_runtime;
grant update (display_name, external_id, changed_at) on identity.provisioned_group to affidavit_runtime;
-- Not granted: update of whose it is.
