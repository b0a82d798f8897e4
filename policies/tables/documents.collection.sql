-- Collections: the unit of access inside a tenant.
alter table documents.collection enable row level security, force row level security;

-- A caller sees the collections that it may read; those that it may write are among them. A caller with collections:manage sees all
-- collections of its tenant.
create policy visible on documents.collection for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (id = any ((select tenancy.readable_collections())::uuid[]) or (select tenancy.has_permission('collections:manage'))));
-- Only a caller with collections:manage creates and changes collections.
create policy managed_insert on documents.collection for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
create policy managed_update on documents.collection for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
-- The operator sets tenants up.
create policy operator on documents.collection to affidavit_owner using (true) with check (true);

grant select on documents.collection to affidavit_runtime;
grant insert (tenant_id, id, slug, name, language, approval_required, approvers, metadata_schema, refused_warnings, personal_data)
  on documents.collection to affidavit_runtime;
grant update (name, approval_required, approvers, metadata_schema, refused_warnings, personal_data)
  on documents.collection to affidavit_runtime;
-- Not granted: delete.
