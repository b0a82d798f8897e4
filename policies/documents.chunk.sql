-- Chunks: the passages that retrieval finds.
alter table documents.chunk enable row level security, force row level security;

-- A chunk is seen by who may read its collection, while its version is approved and in force; reviewers see all.
create policy in_force on documents.chunk for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and ((effective_from <= (select tenancy.moment()) and effective_to > (select tenancy.moment()))
      or (select tenancy.has_permission('documents:review'))));
-- Who writes sees what it wrote before it is in force, so that the same text is not stored twice.
create policy being_written on documents.chunk for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and (select tenancy.presented('writing')) = 'chunks'
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
-- A chunk is added by who may write the collection, with the validity and collection of its version and no other.
create policy writable on documents.chunk for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and exists (select from documents.version v where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
      and v.collection_id = chunk.collection_id and v.document_id = chunk.document_id
      and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to));

grant select, insert on documents.chunk to affidavit_runtime;
-- Not granted: update, delete.
