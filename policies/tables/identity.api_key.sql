-- API keys: what each may do, from where and how often. Their secrets are apart.
alter table identity.api_key enable row level security, force row level security;

-- A key sees itself; who manages keys or reviews the log sees all of the tenant.
create policy visible on identity.api_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('keys:manage'))
      or (select tenancy.has_permission('audit:read'))));
-- Only who manages keys creates them, with no permission that it has not itself, except to ask (what partners get).
create policy managed_insert on identity.api_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and created_by = (select tenancy.principal_id())
    and permissions <@ ((select tenancy.permissions()) || '{retrieval:query}'::text[]));
-- Who manages keys revokes them; nobody brings a revoked key back.
create policy managed_update on identity.api_key for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
-- The operator sets tenants up.
create policy operator on identity.api_key to affidavit_owner using (true) with check (true);

grant select on identity.api_key to affidavit_runtime;
grant insert (tenant_id, id, name, permissions, allowed_networks, requests_per_minute, requests_per_day, assertion_key,
  created_by, expires_at) on identity.api_key to affidavit_runtime;
grant update (revoked_at) on identity.api_key to affidavit_runtime;
-- Not granted: delete. A revoked key stays, so that the log keeps a name.
