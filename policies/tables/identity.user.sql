-- The people of a tenant.
alter table identity."user" enable row level security, force row level security;

-- A caller sees itself; who manages users or reviews the log sees all of the tenant; signing in finds the presented name.
create policy visible on identity."user" for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = (select tenancy.principal_id())
      or (select tenancy.has_permission('users:manage'))
      or (select tenancy.has_permission('audit:read'))
      or username = (select tenancy.presented('username'))));
-- Only who manages users adds or changes them. Who is added counts as the administrator who did it, until another one vouches for it;
-- whom the tenant's provider adds signs in there, and is a person of its own.
create policy managed_insert on identity."user" for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and (credentials_of = (select identity.acting_user())
      or credentials_of is null and (select tenancy.context() ->> 'kind') = 'issuer'));
create policy managed_update on identity."user" for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));
-- The operator sets tenants up.
create policy operator on identity."user" to affidavit_owner using (true) with check (true);

grant select on identity."user" to affidavit_runtime;
-- Processes that are not replaced yet say themselves who knows a first password.
grant insert (tenant_id, id, username, display_name, credentials_of) on identity."user" to affidavit_runtime;
grant update (display_name, status) on identity."user" to affidavit_runtime;
-- Not granted: delete, nor update of a name or of whose credentials they are. Who left keeps a row, so that the log keeps a name.
