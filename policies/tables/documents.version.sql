-- Versions of documents, with their approval and validity.
alter table documents.version enable row level security, force row level security;

-- A caller sees the approved versions of the collections that it may read. With documents:review or documents:write it sees
-- there the others as well.
create policy readable on documents.version for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[])
    and (effective_from < 'infinity' or (select documents.sees_drafts())));
-- A caller with documents:write creates versions in the collections that it may write, in its own name. The author is a person: of
-- a key, its owner; of a source, who answers for it. A version needs as many approvals as its collection asks for, and is in force at
-- once only where that is none. What a source writes always goes into review.
create policy writable on documents.version for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id())
    and author_id = (select identity.acting_user())
    and (effective_from = 'infinity' or approvals_needed = 0)
    and ((select tenancy.context() ->> 'kind') is distinct from 'source' or approvals_needed > 0)
    and approvals_needed = (select case when c.approval_required then c.approvers else 0 end from documents.collection c
      where c.tenant_id = version.tenant_id and c.id = version.collection_id));
-- The creator of a version adds chunks and submits it for review, until it has a validity. Where no approval is required, every caller
-- with documents:write that may write the collection also decides when versions are in force.
create policy authored on documents.version for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and (created_by = (select tenancy.principal_id()) and effective_from = 'infinity' or approvals_needed = 0))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and (status in ('draft', 'in_review')
      or approvals_needed = 0 and exists (select from documents.collection c
        where c.tenant_id = version.tenant_id and c.id = version.collection_id and not c.approval_required)));
-- A user with documents:review decides on versions of the collections that it may read; a key cannot. A version gets a validity
-- only with the approvals that it needs, none of which its author gives.
create policy reviewed on documents.version for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and (select tenancy.context() ->> 'kind') = 'user'
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and (effective_from = 'infinity' or approvals_needed <= (select count(*) from documents.approval a
      where a.tenant_id = version.tenant_id and a.version_id = version.id and a.decision = 'approved')));
-- A caller with erasure:execute deletes versions of every collection.
create policy erased on documents.version for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
-- The operator finds a version's document.
create policy operator on documents.version for select to affidavit_owner using (true);

grant select, delete on documents.version to affidavit_runtime;
grant insert (tenant_id, id, collection_id, document_id, number, status, takes_chunks, approvals_needed, planned_from, planned_to,
  effective_from, effective_to, content_sha256, metadata, author_id, created_by, warnings, personal_data)
  on documents.version to affidavit_runtime;
grant update (status, takes_chunks, planned_from, planned_to, effective_from, effective_to, content_sha256, personal_data, reason)
  on documents.version to affidavit_runtime;
-- Not granted: update of collection, document, number, metadata, warnings, author and the approvals needed.
