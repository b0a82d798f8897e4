-- The wrapped key of a tenant's files. Nobody may select the column: a condition on it would be asked of every row.

-- Every caller of a tenant stores and reads files under the one key of the tenant; which files, is decided where they stand.
create or replace function storage.own_data_key() returns table (id uuid, wrapped bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select k.id, k.wrapped from storage.data_key k where k.tenant_id = (select tenancy.tenant_id()) $$;

grant execute on function storage.own_data_key() to affidavit_runtime;
-- Not granted to anyone else.
