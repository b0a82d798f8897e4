-- The bearers with which a tenant's provider keeps its users and groups here.
alter table identity.scim_bearer enable row level security, force row level security;

-- Who manages keys sees them.
create policy managed on identity.scim_bearer for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')));
-- It ends them, for good.
create policy managed_end on identity.scim_bearer for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
-- The operator makes them, as it says whom a tenant trusts: who holds one makes anybody a reviewer. A presented one is found as
-- the owner.
create policy operator on identity.scim_bearer to affidavit_owner using (true) with check (true);

grant select (tenant_id, id, issuer_id, name, lookup_id, created_at, expires_at, revoked_at, last_used_at)
  on identity.scim_bearer to affidavit_runtime;
grant update (revoked_at) on identity.scim_bearer to affidavit_runtime;
-- Not granted: select of digests, whose index spans tenants; insert, delete.
