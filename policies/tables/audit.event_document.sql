-- Which documents an event is about.
alter table audit.event_document enable row level security, force row level security;

-- A caller with audit:read sees which documents events are about.
create policy reviewed on audit.event_document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- When a month leaves for an archive, the rows of its events are deleted: their retention is over then.
create policy left_select on audit.event_document for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.event_document for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));
-- The owner's function counts, in a tenant's transaction, the answers that cited a document.
create policy counted on audit.event_document for select to affidavit_owner
  using (tenant_id = (select tenancy.tenant_id()) and action = 'answer:returned');
-- The owner's function adds the documents that the event's own transaction named.
create policy indexed on audit.event_document for insert to affidavit_owner with check (true);
-- The owner's functions tell the worker that has an endpoint of webhooks which answers of that tenant cited a document.
create policy told on audit.event_document for select to affidavit_owner
  using (tenant_id = (select tenancy.tenant_id()) and (select webhooks.leased_endpoint()) is not null);

grant select on audit.event_document to affidavit_runtime;
-- Not granted: insert, update, delete.
