-- Exports of the log: what was asked for, and the file that came of it.
alter table audit.export enable row level security, force row level security;

-- A caller with audit:export sees the exports of its tenant.
create policy visible on audit.export for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export')));
-- A caller with audit:export asks for an export in its own name. The job that runs in that name finishes it.
create policy requested on audit.export for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and requested_by = (select tenancy.principal_id()));
create policy finished on audit.export for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and requested_by = (select tenancy.principal_id()) and sha256 is null)
  with check (tenant_id = (select tenancy.tenant_id()) and requested_by = (select tenancy.principal_id()));

grant select, insert (tenant_id, id, requested_by, job_id, parameters), update (events, sha256, size, parts)
  on audit.export to affidavit_runtime;
-- Not granted: delete.
