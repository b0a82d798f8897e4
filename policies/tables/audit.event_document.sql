-- Which documents an event is about.
alter table audit.event_document enable row level security, force row level security;

-- Read by reviewers.
create policy reviewed on audit.event_document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- What it says of events of a month that left for an archive go with it: all their retention was over.
create policy left_select on audit.event_document for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.event_document for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));
-- The owner's function enters what the event's own transaction said.
create policy indexed on audit.event_document for insert to affidavit_owner with check (true);

grant select on audit.event_document to affidavit_runtime;
-- Not granted: insert, update, delete.
