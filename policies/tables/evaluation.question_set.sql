-- Versions of evaluation sets: questions with what their answers must have.
alter table evaluation.question_set enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the sets of its tenant.
create policy visible on evaluation.question_set for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select evaluation.is_concerned()));
-- A caller with documents:review adds versions, in its own name.
create policy written on evaluation.question_set for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and created_by = (select tenancy.principal_id()));

grant select, insert (tenant_id, slug, version, questions, created_by) on evaluation.question_set to affidavit_runtime;
-- Not granted: update, delete.
