-- What a tenant asks of changes of what answers its questions.
alter table evaluation.rule enable row level security, force row level security;

-- Everybody of the tenant may know it.
create policy visible on evaluation.rule for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()));
-- A caller with collections:manage sets it, in its own name. To ask for less takes another person who has asked for the same.
create policy managed_insert on evaluation.rule for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and changed_by = (select tenancy.principal_id())
    and (not evaluation.relaxes(changes_need_approval, unapproved) or evaluation.is_joined(changes_need_approval, unapproved)));
create policy managed_update on evaluation.rule for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and changed_by = (select tenancy.principal_id())
    and (not evaluation.relaxes(changes_need_approval, unapproved) or evaluation.is_joined(changes_need_approval, unapproved)));
-- The owner's functions follow it.
create policy followed on evaluation.rule for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select, insert (tenant_id, changes_need_approval, unapproved, changed_by),
  update (changes_need_approval, unapproved, changed_by, changed_at) on evaluation.rule to affidavit_runtime;
-- Not granted: delete.
