-- Which users are in which groups of a tenant's provider.
alter table identity.provisioned_member enable row level security, force row level security;

-- The provider sees, adds and takes out members of its own groups.
create policy own on identity.provisioned_member to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.context() ->> 'kind') = 'issuer'
    and group_id in (select g.id from identity.provisioned_group g))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.context() ->> 'kind') = 'issuer'
    and (select tenancy.has_permission('users:manage')) and group_id in (select g.id from identity.provisioned_group g));
-- Who manages users sees them.
create policy managed on identity.provisioned_member for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
-- Which roles a user's groups stand for is found as the owner.
create policy operator on identity.provisioned_member for select to affidavit_owner using (true);

grant select, delete on identity.provisioned_member to affidavit_runtime;
grant insert (tenant_id, group_id, user_id) on identity.provisioned_member to affidavit_runtime;
-- Not granted: update.
