-- Files that were uploaded before it is said to which collection they go.
alter table documents.upload enable row level security, force row level security;

-- An upload is its uploader's alone, for a day.
create policy visible on documents.upload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id())
    and created_at > now() - interval '1 day');
-- Who may write documents uploads them, in its own name.
create policy own_insert on documents.upload for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id())
    and (select tenancy.has_permission('documents:write')) and collection_id is null);
-- Its uploader says once to which collection it goes, which it may write.
create policy bound on documents.upload for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id()) and collection_id is null)
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
-- Its uploader takes it back until then.
create policy withdrawn on documents.upload for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and created_by = (select tenancy.principal_id()) and collection_id is null);
-- Old ones go with documents.end_stale_uploads(), whoever uploads next.
create policy operator on documents.upload to affidavit_owner using (true) with check (true);

grant select, delete on documents.upload to affidavit_runtime;
grant insert (tenant_id, id, filename, media_type, size, sha256, created_by) on documents.upload to affidavit_runtime;
grant update (collection_id, document_id, job_id, document_version, batch_id) on documents.upload to affidavit_runtime;
-- Not granted: update of what was uploaded.
