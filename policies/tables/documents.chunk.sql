-- Chunks: the passages that retrieval finds.
alter table documents.chunk enable row level security, force row level security;
-- Nobody is granted the partitions, and whoever got there all the same would see nothing.
alter table documents.chunk_shared enable row level security, force row level security;

-- A chunk is seen by who may read its collection, while its version is approved and in force; reviewers see all, writers what
-- they write, and who erases what it erases. Each condition is a column and a bound: see functions/documents.visibility.sql for the bounds.
create policy visible on documents.chunk for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and collection_id = any ((select documents.visible_collections())::uuid[])
    and effective_from <= (select documents.latest_start()) and effective_to > (select documents.earliest_end())
    and (effective_from < effective_to or (select documents.sees_unapproved()))
    and ((select tenancy.known_at()) is null
      or created_at <= (select tenancy.known_at()) and version_id = any ((select documents.versions_known_in_force())::uuid[])));
-- A chunk is added by who may write the collection to a version that takes chunks, with the validity and collection of that
-- version and no other. Others add to it only where no approval is required, and nobody adds to what a reviewer decided on.
create policy writable on documents.chunk for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and exists (select from documents.version v
      join documents.collection c on c.tenant_id = v.tenant_id and c.id = v.collection_id
      where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
        and v.collection_id = chunk.collection_id and v.document_id = chunk.document_id
        and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to
        and v.takes_chunks
        and (v.effective_from = 'infinity' and v.created_by = (select tenancy.principal_id()) or not c.approval_required))
    and not exists (select from documents.approval a where a.tenant_id = chunk.tenant_id and a.version_id = chunk.version_id));
-- The validity follows that of the version: by reviewers, and by writers where no approval is required.
create policy follows_version on documents.chunk for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:review')) and collection_id = any ((select tenancy.readable_collections())::uuid[])
      or (select tenancy.has_permission('documents:write')) and collection_id = any ((select tenancy.writable_collections())::uuid[])
        and collection_id in (select id from documents.collection where not approval_required)))
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
      and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to));
-- Nothing is deleted while a legal hold on everyone stands; who cannot see holds deletes nothing.
create policy erased on documents.chunk for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.has_permission('audit:read'))
    and not exists (select from audit.hold h where h.tenant_id = chunk.tenant_id and h.released_at is null and h.subject_id is null));
-- The operator moves a tenant's chunks between partitions and embeds them anew.
create policy operator on documents.chunk to affidavit_owner using (true) with check (true);

grant select, insert, delete on documents.chunk to affidavit_runtime;
grant update (effective_from, effective_to) on documents.chunk to affidavit_runtime;
-- Not granted: update of anything else; anything on the partitions. Text, once stored, does not change.
