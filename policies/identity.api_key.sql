-- API keys as digests.
alter table identity.api_key enable row level security, force row level security;

-- Somebody who presents a key finds it, whichever tenant it belongs to.
create policy presented on identity.api_key for select to affidavit_runtime
  using (encode(digest, 'hex') = (select tenancy.presented('digest')));
-- A key sees itself; who manages keys or reviews the log sees all of the tenant.
create policy visible on identity.api_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('keys:manage'))
      or (select tenancy.has_permission('audit:read'))));
-- Only who manages keys creates and revokes them.
create policy managed_insert on identity.api_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and created_by = (select tenancy.principal_id()));
create policy managed_update on identity.api_key for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')));
-- The operator sets tenants up.
create policy operator on identity.api_key to affidavit_owner using (true) with check (true);

grant select on identity.api_key to affidavit_runtime;
grant insert (tenant_id, id, name, lookup_id, digest, permissions, created_by, expires_at) on identity.api_key to affidavit_runtime;
grant update (revoked_at) on identity.api_key to affidavit_runtime;
-- Not granted: delete. A revoked key stays, so that the log keeps a name.
