-- The hosts whose programs the people of a tenant may let act for them.
alter table identity.client_host enable row level security, force row level security;

-- Everybody of the tenant is asked whether a program is allowed.
create policy visible on identity.client_host for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()));
-- Who manages keys allows hosts, in its own name, and takes them away.
create policy managed_insert on identity.client_host for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and (select tenancy.context() ->> 'kind') = 'user' and added_by = (select tenancy.principal_id()));
create policy managed_delete on identity.client_host for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and (select tenancy.context() ->> 'kind') = 'user');

grant select, insert (tenant_id, host, added_by), delete on identity.client_host to affidavit_runtime;
-- Not granted: update.
