-- Versions of documents, with their approval and validity.
alter table documents.version enable row level security, force row level security;

-- Who may read the collection sees versions that were approved; reviewers and writers see those on their way, too.
create policy readable on documents.version for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (effective_from < 'infinity'
      or (select tenancy.has_permission('documents:review'))
      or (select tenancy.has_permission('documents:write'))));
-- A version is created by who may write the collection, in its own name; where approval is required, not in force.
create policy writable on documents.version for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and (effective_from = 'infinity' or exists (select from documents.collection c
      where c.tenant_id = version.tenant_id and c.id = version.collection_id and not c.approval_required)));
-- Its content hash grows with the chunks that its author adds.
create policy growing on documents.version for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));

grant select on documents.version to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, number, status, effective_from, content_sha256, metadata, created_by)
  on documents.version to affidavit_runtime;
grant update (content_sha256) on documents.version to affidavit_runtime;
-- Not granted: delete.
