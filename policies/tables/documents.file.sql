-- Uploaded files: what each is, and which version was made of it.
alter table documents.file enable row level security, force row level security;

-- A file is seen with the version that was made of it; before there is one, by who uploaded it.
create policy readable on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (created_by = (select tenancy.principal_id())
      or exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id)));
-- It is uploaded to a document by who may write its collection, in its own name.
create policy writable on documents.file for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and exists (select from documents.document d where d.tenant_id = file.tenant_id and d.id = file.document_id
      and d.collection_id = file.collection_id));
-- Its uploader ties it to the version made of it, once.
create policy tied on documents.file for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and created_by = (select tenancy.principal_id()) and version_id is null)
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id
      and v.document_id = file.document_id and v.created_by = (select tenancy.principal_id())));
-- Its uploader takes back what became no version.
create policy withdrawn on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id()) and version_id is null);
-- With its job, when that ends without a version, goes the file, whoever ends the job and whatever its uploader may still do.
create policy withdrawing on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
create policy withdrawn_with_job on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
-- Who erases sees and deletes what it erases, in every collection.
create policy erasing on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.presented('erasing')) = 'documents');
create policy erased on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));

grant select, delete on documents.file to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, job_id, filename, media_type, size, sha256, submitted, created_by)
  on documents.file to affidavit_runtime;
grant update (version_id, page_count) on documents.file to affidavit_runtime;
-- Not granted: update of what was uploaded.
