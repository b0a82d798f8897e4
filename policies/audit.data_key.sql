-- The keys of payloads, wrapped by a key that the database never sees.
alter table audit.data_key enable row level security, force row level security;

-- Every request encrypts what it records with a key of its principal, or of the tenant while nobody is known; who may
-- reveal sees all of the tenant's.
create policy own_select on audit.data_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (subject_id = (select coalesce(tenancy.principal_id(), tenancy.tenant_id()))
      or (select tenancy.has_permission('audit:reveal'))));
create policy own_insert on audit.data_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and subject_id = (select coalesce(tenancy.principal_id(), tenancy.tenant_id())));

grant insert (tenant_id, id, subject_id, month, wrapped), select on audit.data_key to affidavit_runtime;
-- Not granted: update, delete.
