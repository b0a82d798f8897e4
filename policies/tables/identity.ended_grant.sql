-- Grants that were withdrawn.
alter table identity.ended_grant enable row level security, force row level security;

-- Seen like the grants of today.
create policy visible on identity.ended_grant for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id())
      or role in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))
      or role in (select r.role from identity.ended_role r where r.user_id = (select tenancy.principal_id()))
      or (select tenancy.has_permission('collections:manage'))));
-- Written by who withdraws; the database sets the time.
create policy managed on identity.ended_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));

grant select on identity.ended_grant to affidavit_runtime;
grant insert (tenant_id, id, collection_id, principal_id, role, access, created_at) on identity.ended_grant to affidavit_runtime;
-- Not granted: update, delete.
