-- Where documents of a tenant come from by themselves.
alter table sources.source enable row level security, force row level security;

-- Who manages sources sees, changes and deletes them, and answers for what it has made or changed.
create policy managed on sources.source for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage')));
create policy managed_insert on sources.source for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage'))
    and created_by = (select tenancy.principal_id()) and responsible_id = (select identity.acting_user())
    and exists (select from documents.collection c where c.tenant_id = source.tenant_id and c.id = source.collection_id
      and c.approval_required));
create policy managed_update on sources.source for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage'))
    and responsible_id = (select identity.acting_user()));
create policy managed_delete on sources.source for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage')));
-- A run sees the source that it acts as.
create policy own on sources.source for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id = (select tenancy.principal_id()));
-- Sources of all tenants that are due are handed to workers, through sources.take_due() alone; other functions of the owner tell
-- who a source is, and who answers for it.
create policy due_select on sources.source for select to affidavit_owner using (true);
create policy due on sources.source for update to affidavit_owner using (true) with check (status = 'enabled');

grant select (tenant_id, id, name, kind, collection_id, address, options, has_credentials, source_type, metadata, every_minutes,
  daily_minute, next_run_at, status, responsible_id, created_by, created_at, changed_at), delete on sources.source to affidavit_runtime;
grant insert (tenant_id, id, name, kind, collection_id, address, options, sealed, source_type, metadata, every_minutes, daily_minute,
  next_run_at, responsible_id, created_by) on sources.source to affidavit_runtime;
grant update (name, address, options, sealed, source_type, metadata, every_minutes, daily_minute, next_run_at, status, responsible_id,
  changed_at) on sources.source to affidavit_runtime;
-- Not granted: select of what is sealed, which a function gives out, and of due_at, whose index is of all tenants; update of kind
-- and collection.
