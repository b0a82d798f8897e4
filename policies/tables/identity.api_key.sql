-- API keys: what each may do, from where and how often. Their secrets are apart.
alter table identity.api_key enable row level security, force row level security;

-- A key sees itself; who manages keys or reviews the log sees all of the tenant.
create policy visible on identity.api_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('keys:manage'))
      or (select tenancy.has_permission('audit:read'))));
-- Only who manages keys creates them, in the name of the person who acts, with no permission that it has not itself, except to
-- ask, to be answered and to read documents. No key erases.
create policy managed_insert on identity.api_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and created_by = (select tenancy.principal_id()) and owner_id = (select identity.acting_user())
    and permissions <@ ((select tenancy.permissions()) || '{retrieval:query,answers:create,documents:read}'::text[])
    and not permissions && '{erasure:execute}'::text[]);
-- Who manages keys revokes them; nobody brings a revoked key back.
create policy managed_update on identity.api_key for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
-- Who manages keys changes what bounds a key that has not ended. What it may do and whose it is does not change so.
create policy bounded on identity.api_key for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and revoked_at is null and (expires_at is null or expires_at > now()))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')) and revoked_at is null);
-- The operator sets tenants up.
create policy operator on identity.api_key to affidavit_owner using (true) with check (true);

grant select on identity.api_key to affidavit_runtime;
grant insert (tenant_id, id, name, permissions, allowed_networks, requests_per_minute, requests_per_day, assertion_key,
  created_by, owner_id, purpose, tokens_per_day, tokens_per_month, cost_per_day_micros, cost_per_month_micros,
  expires_at)
  on identity.api_key to affidavit_runtime;
grant update (revoked_at, name, purpose, allowed_networks, requests_per_minute, requests_per_day, tokens_per_day, tokens_per_month,
  cost_per_day_micros, cost_per_month_micros, expires_at) on identity.api_key to affidavit_runtime;
-- Not granted: update of permissions and owner; delete. A revoked key stays, so that the log keeps a name.
