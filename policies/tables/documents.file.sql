-- Uploaded files: what each is, and which version was made of it.
alter table documents.file enable row level security, force row level security;

-- A caller sees a file when it sees the version that was made of it. Before there is a version, only the uploader sees the file.
create policy readable on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (created_by = (select tenancy.principal_id())
      or exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id)));
-- A caller with documents:write uploads files to documents of the collections that it may write, in its own name.
create policy writable on documents.file for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and exists (select from documents.document d where d.tenant_id = file.tenant_id and d.id = file.document_id
      and d.collection_id = file.collection_id));
-- The uploader says once which version was made of the file.
create policy tied on documents.file for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and created_by = (select tenancy.principal_id()) and version_id is null)
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = file.tenant_id and v.id = file.version_id
      and v.document_id = file.document_id and v.created_by = (select tenancy.principal_id())));
-- The uploader deletes a file of which no version was made.
create policy withdrawn on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id()) and version_id is null);
-- When a job ends without a version, its file is deleted, whoever ends the job, also when the uploader has lost its rights.
create policy withdrawing on documents.file for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
create policy withdrawn_with_job on documents.file for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and version_id is null
    and job_id::text = (select tenancy.presented('withdrawing')));
-- A caller with erasure:execute deletes files of every collection. It sees them in a transaction that erases.
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
