-- Changes of what answers a tenant's questions, which wait for a run.
alter table evaluation.change enable row level security, force row level security;

-- A caller with documents:review, collections:manage or audit:read sees the changes of its tenant.
create policy visible on evaluation.change for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select evaluation.is_concerned()));
-- A caller with collections:manage proposes a change, in its own name.
create policy proposed on evaluation.change for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and proposed_by = (select tenancy.principal_id()));
-- A caller with collections:manage takes a change back that no run was approved for.
create policy withdrawn on evaluation.change for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')) and withdrawn_at is null
    and not exists (select from evaluation.run r join evaluation.run_approval a on a.tenant_id = r.tenant_id and a.run_id = r.id
      where r.tenant_id = change.tenant_id and r.change_id = change.id))
  with check (tenant_id = (select tenancy.tenant_id()) and withdrawn_at is not null);
-- The owner's functions look for the change whose run is being approved.
create policy followed on evaluation.change for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select, insert (tenant_id, id, models, support_levels, proposed_by), update (withdrawn_at)
  on evaluation.change to affidavit_runtime;
-- Not granted: delete, update of what is proposed.
