-- Documents: what a tenant calls by one doc_id in one collection.
alter table documents.document enable row level security, force row level security;

-- A caller sees the documents of the collections that it may read, once a version of them was approved. Before that, a caller with
-- documents:review sees them, and a caller with documents:write that may write the collection.
create policy readable on documents.document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[])
    and ((select documents.sees_unapproved())
      or (select tenancy.has_permission('documents:write')) and collection_id = any ((select tenancy.writable_collections())::uuid[])
      or exists (select from documents.version v where v.tenant_id = document.tenant_id and v.document_id = document.id
        and v.effective_from < 'infinity')));
-- A caller with documents:write creates documents in the collections that it may write, in its own name.
create policy writable on documents.document for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[])
    and created_by = (select tenancy.principal_id()));
-- A caller with erasure:execute deletes documents, unless a legal hold on everyone stands. It needs audit:read to see holds.
create policy erased on documents.document for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and (select tenancy.has_permission('audit:read'))
    and not exists (select from audit.hold h where h.tenant_id = document.tenant_id and h.released_at is null and h.subject_id is null));
-- When the only upload of a document is withdrawn, the document is deleted with it. Foreign keys keep a document that has a version
-- or another file. (PostgreSQL asks policies from the last name to the first: it asks this one seldom, after `readable`.)
create policy leaving on documents.document for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id = (select documents.withdrawn_document()));
create policy withdrawn on documents.document for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id = (select documents.withdrawn_document()));

-- A caller that changes a document's versions or chunks locks the document's row. It changes nothing in that row.
create policy locked on documents.document for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and ((select tenancy.has_permission('documents:write'))
    or (select tenancy.has_permission('documents:review')) or (select tenancy.has_permission('erasure:execute'))
    or id = (select documents.withdrawn_document())))
  with check (tenant_id = (select tenancy.tenant_id()) and false);
-- The operator reads titles when it embeds anew, and locks a document while its chunks are moved or changed.
create policy operator on documents.document for select to affidavit_owner using (true);
create policy operator_lock on documents.document for update to affidavit_owner using (true) with check (false);

grant select, delete on documents.document to affidavit_runtime;
grant insert (tenant_id, id, collection_id, doc_id, source_type, title, created_by) on documents.document to affidavit_runtime;
grant update (title) on documents.document to affidavit_runtime;  -- without which nobody may lock; no title passes the policy
-- Not granted: update of anything else.
