-- How long texts are kept. Append-only: the longest period counts.
alter table audit.retention enable row level security, force row level security;

-- A caller with audit:read sees the retention of its tenant.
create policy visible on audit.retention for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- A caller with audit:export lengthens the retention of its tenant, in its own name.
create policy raised on audit.retention for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and set_by = (select tenancy.principal_id()));
-- The owner asks how long a tenant keeps its log before a month leaves for an archive.
create policy obeyed on audit.retention for select to affidavit_owner using (true);

grant select, insert (tenant_id, id, event_class, days, set_by) on audit.retention to affidavit_runtime;
-- Not granted: update, delete.
