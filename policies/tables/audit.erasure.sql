-- Erasures of a data subject's texts: requested by one, approved by another, executed once.
alter table audit.erasure enable row level security, force row level security;

-- A caller with audit:read sees the erasures of its tenant.
create policy visible on audit.erasure for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- A user with erasure:execute requests an erasure in its own name.
create policy requested on audit.erasure for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.context() ->> 'kind') = 'user' and requested_by = (select tenancy.principal_id()));
-- A second user with erasure:execute approves it in its own name. Both must be different people.
create policy approved on audit.erasure for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and executed_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and approved_by = (select tenancy.principal_id())
    and identity.is_second_person('erasure:approve', requested_by, requested_at));

grant select, insert (tenant_id, id, subject_id, legal_basis, requested_by), update (approved_by, executed_at)
  on audit.erasure to affidavit_runtime;
-- Not granted: delete.
