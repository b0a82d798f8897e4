-- How many chunks of a collection contain a term.
alter table retrieval.term enable row level security, force row level security;

-- Counted for who may read the collection.
create policy readable on retrieval.term for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
-- Kept by who writes there.
create policy writable_insert on retrieval.term for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
create policy writable_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
-- Counted by who approves, where that puts chunks in force.
create policy reviewed_insert on retrieval.term for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]));
create policy reviewed_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
-- Counted down by who erases, in every collection; what nothing contains any more is forgotten.
create policy erased_update on retrieval.term for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased on retrieval.term for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and chunks = 0);

grant select, insert, delete on retrieval.term to affidavit_runtime;
grant update (chunks) on retrieval.term to affidavit_runtime;
-- Not granted: update of anything but the count.
