-- What sources held when they were last looked at.
alter table sources.item enable row level security, force row level security;

-- A run of a source reads and writes what that source held.
create policy own on sources.item to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id()))
  with check (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id()));
-- Who manages sources sees it.
create policy managed on sources.item for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage')));
-- Whoever erases a document has its names forgotten, through sources.forget() alone.
create policy forgotten on sources.item to affidavit_owner using (true) with check (state = 'erased');

grant select, delete on sources.item to affidavit_runtime;
grant insert (tenant_id, source_id, key_sha256, key, path, doc_id, tag, content_sha256, document_id, state, reason)
  on sources.item to affidavit_runtime;
grant update (key, path, doc_id, tag, content_sha256, document_id, state, reason, changed_at) on sources.item to affidavit_runtime;
