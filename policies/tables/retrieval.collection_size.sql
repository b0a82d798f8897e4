-- How many chunks a collection holds.

alter table retrieval.collection_size enable row level security, force row level security;

-- Counted for who may read the collection.
create policy readable on retrieval.collection_size for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and collection_id = any ((select documents.visible_collections())::uuid[]));
-- Kept by who writes there.
create policy writable_insert on retrieval.collection_size for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]));
create policy writable_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
    and collection_id = any ((select tenancy.writable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
-- Counted by who approves, where that puts chunks in force.
create policy reviewed_insert on retrieval.collection_size for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]));
create policy reviewed_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and collection_id = any ((select tenancy.readable_collections())::uuid[]))
  with check (tenant_id = (select tenancy.tenant_id()));
-- Counted down by who erases, in every collection; what nothing contains any more is forgotten.
create policy erased_update on retrieval.collection_size for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')))
  with check (tenant_id = (select tenancy.tenant_id()));
create policy erased on retrieval.collection_size for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')) and chunks = 0);
-- The operator sees which tenants have outgrown the shared partition.
create policy operator on retrieval.collection_size for select to affidavit_owner using (true);
create policy operated on retrieval.collection_size for select to affidavit_operator using (true);

grant select, insert, delete on retrieval.collection_size to affidavit_runtime;
grant select (tenant_id, chunks) on retrieval.collection_size to affidavit_operator;
grant update (chunks) on retrieval.collection_size to affidavit_runtime;
-- Not granted: update of anything but the count.
