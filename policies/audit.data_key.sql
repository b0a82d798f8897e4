-- The keys of payloads, wrapped by a key that the database never sees.
alter table audit.data_key enable row level security, force row level security;

-- Every request of a tenant encrypts what it records.
create policy own_tenant_select on audit.data_key for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()));
create policy own_tenant_insert on audit.data_key for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()));

grant insert (tenant_id, id, subject_id, month, wrapped), select on audit.data_key to affidavit_runtime;
-- Not granted: update, delete.
