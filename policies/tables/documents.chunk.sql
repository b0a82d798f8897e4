-- Chunks: the passages that retrieval finds.
alter table documents.chunk enable row level security, force row level security;
-- Nobody is granted the partitions, and whoever got there all the same would see nothing.
alter table documents.chunk_shared enable row level security, force row level security;

-- A caller sees the chunks of the collections that it may read, while their version is approved and in force.
-- A caller with documents:review sees every chunk there. A caller with documents:write, in a transaction that writes, sees every
-- chunk of the collections that it may write. A caller with erasure:execute, in a transaction that erases, sees every chunk.
-- Each condition is a column and a bound; functions/documents.visibility.sql computes the bounds.
create policy visible on documents.chunk for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and collection_id = any ((select documents.visible_collections())::uuid[])
    and effective_from <= (select documents.latest_start()) and effective_to > (select documents.earliest_end())
    and (effective_from < effective_to or (select documents.sees_unapproved()))
    and ((select tenancy.known_at()) is null
      or created_at <= (select tenancy.known_at()) and version_id = any ((select documents.versions_known_in_force())::uuid[])));
-- A caller with documents:write adds chunks to a version that takes chunks, in a collection that it may write. A chunk has the
-- collection and the validity of its version. Where approval is required, only the version's creator adds to it. Nobody adds to a
-- version on which a reviewer has decided.
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
-- A chunk's validity follows that of its version. A caller with documents:review changes it, and where no approval is required a
-- caller with documents:write.
create policy follows_version on documents.chunk for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:review')) and collection_id = any ((select tenancy.readable_collections())::uuid[])
      or (select tenancy.has_permission('documents:write')) and collection_id = any ((select tenancy.writable_collections())::uuid[])
        and collection_id in (select id from documents.collection where not approval_required)))
  with check (tenant_id = (select tenancy.tenant_id())
    and exists (select from documents.version v where v.tenant_id = chunk.tenant_id and v.id = chunk.version_id
      and v.effective_from = chunk.effective_from and v.effective_to = chunk.effective_to));
-- A caller with erasure:execute deletes chunks, unless a legal hold on everyone stands. It needs audit:read to see holds.
create policy erased on documents.chunk for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.has_permission('audit:read'))
    and not exists (select from audit.hold h where h.tenant_id = chunk.tenant_id and h.released_at is null and h.subject_id is null));
-- The operator moves a tenant's chunks between partitions and embeds them anew.
create policy operator on documents.chunk to affidavit_owner using (true) with check (true);

grant select, insert, delete on documents.chunk to affidavit_runtime;
grant update (effective_from, effective_to) on documents.chunk to affidavit_runtime;
-- Not granted: update of anything else; anything on the partitions. Text, once stored, does not change.
