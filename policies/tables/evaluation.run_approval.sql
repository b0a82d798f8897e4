-- Who approved which run.
alter table evaluation.run_approval enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the approvals of its tenant.
create policy visible on evaluation.run_approval for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select evaluation.is_concerned()));
-- A caller with documents:review approves a run that has results and is of an approved version of its set, in its own name. It is
-- another person than who started the run, and than who proposed its change, which nobody has taken back.
create policy approved on evaluation.run_approval for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and approved_by = (select tenancy.principal_id())
    and exists (
      select from evaluation.run r
      join evaluation.result x on x.tenant_id = r.tenant_id and x.run_id = r.id
      join evaluation.set_approval s on s.tenant_id = r.tenant_id and s.slug = r.set_slug and s.version = r.set_version
      left join evaluation.change c on c.tenant_id = r.tenant_id and c.id = r.change_id
      where r.tenant_id = run_approval.tenant_id and r.id = run_approval.run_id and x.failure is null
        and identity.is_second_person('evaluation_run:approve', r.started_by, r.started_at)
        and (r.change_id is null
          or (c.withdrawn_at is null and identity.is_second_person('evaluation_run:approve', c.proposed_by, c.proposed_at)))));
-- The owner's functions tell what was approved.
create policy followed on evaluation.run_approval for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select (tenant_id, run_id, approved_by, approved_at), insert (tenant_id, run_id, approved_by)
  on evaluation.run_approval to affidavit_runtime;
-- Not granted: update, delete; the transaction, which is always the one that writes.
