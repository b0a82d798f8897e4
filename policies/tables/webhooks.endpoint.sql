-- Where a tenant wants to be told of what happens.
alter table webhooks.endpoint enable row level security, force row level security;

-- Who manages webhooks sees, changes and deletes them, and makes them in its own name.
create policy managed on webhooks.endpoint for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
create policy managed_insert on webhooks.endpoint for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage'))
    and created_by = (select tenancy.principal_id()));
create policy managed_update on webhooks.endpoint for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
create policy managed_delete on webhooks.endpoint for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
-- The worker that has one moves its place in the log on, and says how it fares.
create policy delivering on webhooks.endpoint for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and lease_id::text = (select tenancy.presented('delivering')));
create policy delivering_update on webhooks.endpoint for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and lease_id::text = (select tenancy.presented('delivering')))
  with check (tenant_id = (select tenancy.tenant_id()) and lease_id::text = (select tenancy.presented('delivering')));
-- Endpoints of all tenants are handed to workers, through webhooks.lease() alone.
create policy leased_select on webhooks.endpoint for select to affidavit_owner using (true);
create policy leased on webhooks.endpoint for update to affidavit_owner using (true) with check (status = 'enabled');

grant select, delete on webhooks.endpoint to affidavit_runtime;
grant insert (tenant_id, id, url, description, kinds, position, turns_position, created_by) on webhooks.endpoint to affidavit_runtime;
grant update (url, description, kinds, status, disabled_because, position, turns_position, replayed_to, changed_at, failing_since,
  delivered_at, leased_until) on webhooks.endpoint to affidavit_runtime;
-- Not granted: update of the lease, which the function gives, and of who made it.
