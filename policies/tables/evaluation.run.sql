-- Runs of evaluation sets.
alter table evaluation.run enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the runs of its tenant; who started one goes on seeing it.
create policy visible on evaluation.run for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and ((select evaluation.is_concerned()) or started_by = (select tenancy.principal_id())));
-- A caller with documents:review starts a run, in its own name.
create policy started on evaluation.run for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and started_by = (select tenancy.principal_id()));
-- The owner's functions look for the run that was approved.
create policy followed on evaluation.run for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select, insert (tenant_id, id, set_slug, set_version, change_id, started_by) on evaluation.run to affidavit_runtime;
-- Not granted: update, delete.
