-- The keys of tenants' files, wrapped by a key that the database never sees.
alter table storage.data_key enable row level security, force row level security;

-- Every caller of a tenant stores and reads files under the one key of the tenant; which files, is decided where they stand.
create policy own_select on storage.data_key for select to affidavit_runtime using (tenant_id = (select tenancy.tenant_id()));
-- The owner's function gives the wrapped key out.
create policy given_out on storage.data_key for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));
create policy own_insert on storage.data_key for insert to affidavit_runtime with check (tenant_id = (select tenancy.tenant_id()));
-- The owner wraps keys anew, at a connection of its own: in functions that others call, the session is theirs.
create policy rewrapped_select on storage.data_key for select to affidavit_owner using (session_user = 'affidavit_owner');
create policy rewrapped on storage.data_key for update to affidavit_owner using (session_user = 'affidavit_owner');

grant select (tenant_id, id, created_at) on storage.data_key to affidavit_runtime;
grant insert (tenant_id, id, wrapped) on storage.data_key to affidavit_runtime;
-- Not granted: select of the wrapped key, which a function gives out; update, delete.
