-- Which documents an event is about.
alter table audit.event_document enable row level security, force row level security;

-- Written with the event.
create policy own_tenant on audit.event_document for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()));
-- Read by reviewers.
create policy reviewed on audit.event_document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));

grant insert, select on audit.event_document to affidavit_runtime;
-- Not granted: update, delete.
