-- The secrets that sign what is sent, sealed with the key of the tenant.
alter table webhooks.secret enable row level security, force row level security;

-- Who manages webhooks makes another, and lets those before end.
create policy managed on webhooks.secret for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
create policy managed_insert on webhooks.secret for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
create policy managed_update on webhooks.secret for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
-- What has ended is forgotten by who makes another.
create policy managed_delete on webhooks.secret for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')) and expires_at <= now());
-- The owner's function gives those of an endpoint to the worker that has it.
create policy given_out on webhooks.secret for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select (tenant_id, id, endpoint_id, created_at, expires_at), delete on webhooks.secret to affidavit_runtime;
grant insert (tenant_id, id, endpoint_id, sealed) on webhooks.secret to affidavit_runtime;
grant update (expires_at) on webhooks.secret to affidavit_runtime;
-- Not granted: select of what is sealed, which a function gives out.
