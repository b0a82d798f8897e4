-- Roles that were taken away.
alter table identity.ended_role enable row level security, force row level security;

-- A caller sees what it had; who manages users sees all of the tenant.
create policy visible on identity.ended_role for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (user_id = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))));
-- Written by who takes a role away; the database sets the time.
create policy managed on identity.ended_role for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage')));

grant select on identity.ended_role to affidavit_runtime;
grant insert (tenant_id, id, user_id, role, created_at) on identity.ended_role to affidavit_runtime;
-- Not granted: update, delete.
