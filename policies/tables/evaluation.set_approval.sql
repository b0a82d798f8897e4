-- Who approved which version of an evaluation set.
alter table evaluation.set_approval enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the approvals of its tenant.
create policy visible on evaluation.set_approval for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select evaluation.is_concerned()));
-- A caller with documents:review approves what another person wrote, in its own name.
create policy approved on evaluation.set_approval for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and approved_by = (select tenancy.principal_id())
    and exists (select from evaluation.question_set s where s.tenant_id = set_approval.tenant_id and s.slug = set_approval.slug
      and s.version = set_approval.version and identity.is_second_person('evaluation_set:approve', s.created_by, s.created_at)));

grant select, insert (tenant_id, slug, version, approved_by) on evaluation.set_approval to affidavit_runtime;
-- Not granted: update, delete.
