-- What was known about the validity of versions, and since when.
alter table documents.version_history enable row level security, force row level security;

-- A caller sees the history of the collections whose chunks it sees.
create policy readable on documents.version_history for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
-- A caller with documents:write or documents:review records what a version now is. The database sets the time.
create policy recorded on documents.version_history for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:write')) or (select tenancy.has_permission('documents:review')))
    and exists (select from documents.version v where v.tenant_id = version_history.tenant_id
      and v.id = version_history.version_id and v.document_id = version_history.document_id
      and v.collection_id = version_history.collection_id and v.status = version_history.status
      and v.effective_from = version_history.effective_from and v.effective_to = version_history.effective_to));
-- A caller with erasure:execute deletes the history of versions of every collection.
create policy erased on documents.version_history for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));

grant select, delete on documents.version_history to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, version_id, status, effective_from, effective_to)
  on documents.version_history to affidavit_runtime;
-- Not granted: update.
