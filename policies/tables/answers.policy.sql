-- Which models a tenant lets answer, in which order, and which levels of support it lets be shown.
alter table answers.policy enable row level security, force row level security;

-- Everybody of the tenant is answered by it.
create policy visible on answers.policy for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()));
-- Who manages collections sets and changes it, in its own name, unless changes wait for a run that a second person approves.
create policy managed_insert on answers.policy for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and changed_by = (select tenancy.principal_id()) and not (select evaluation.changes_wait()));
create policy managed_update on answers.policy for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and changed_by = (select tenancy.principal_id()) and not (select evaluation.changes_wait()));
-- A caller with documents:review lets a change take effect in the transaction in which it approves the run that tried it.
create policy approved_insert on answers.policy for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and changed_by = (select tenancy.principal_id())
    and evaluation.has_approved(models, support_levels));
create policy approved_update on answers.policy for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review')))
  with check (tenant_id = (select tenancy.tenant_id()) and changed_by = (select tenancy.principal_id())
    and evaluation.has_approved(models, support_levels));

grant select, insert (tenant_id, models, support_levels, changed_by), update (models, support_levels, changed_by, changed_at)
  on answers.policy to affidavit_runtime;
-- Not granted: delete.
