-- What somebody asked for that needs a second person.
alter table identity.joint_request enable row level security, force row level security;

-- Who asked sees it, and who could be the second: whoever manages users, keys or collections, reviews documents, or the log.
create policy visible on identity.joint_request for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (asked_by = (select tenancy.principal_id()) or (select tenancy.has_permission('audit:read'))
      or (act like 'version:%' and (select tenancy.has_permission('documents:review')))
      or ((act like 'collection:%' or act like 'evaluation:%' or act like 'support:%') and (select tenancy.has_permission('collections:manage')))
      or (act like 'second\_factor:%' and (select tenancy.has_permission('users:manage')))));
-- Who asked takes it back.
create policy withdrawn on identity.joint_request for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and asked_by = (select tenancy.principal_id()) and joined_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and asked_by = (select tenancy.principal_id()) and withdrawn_at is not null);
-- Asked and joined as the owner, by identity.ask_jointly() alone.
create policy operator on identity.joint_request to affidavit_owner using (true) with check (true);

grant select on identity.joint_request to affidavit_runtime;
grant update (withdrawn_at) on identity.joint_request to affidavit_runtime;
-- Not granted: insert, delete, update of who asked and who joined.
