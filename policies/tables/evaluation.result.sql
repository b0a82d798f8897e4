-- Under what a run was made, and what became of its questions.
alter table evaluation.result enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the results of its tenant.
create policy visible on evaluation.result for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select evaluation.is_concerned()));
-- Results are written by the worker that has the run's job, and by nobody else.
create policy worked on evaluation.result for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from jobs.job j where j.tenant_id = result.tenant_id and j.id = result.run_id
      and j.lease_id::text = (select tenancy.presented('lease'))));
-- Who started the run, or manages users, writes why there are none.
create policy failed on evaluation.result for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and failure is not null
    and exists (select from jobs.job j where j.tenant_id = result.tenant_id and j.id = result.run_id and j.status = 'cancelled'));
-- The owner's functions tell what was approved.
create policy followed on evaluation.result for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select, insert (tenant_id, run_id, pins, results, failure) on evaluation.result to affidavit_runtime;
-- Not granted: update, delete.
