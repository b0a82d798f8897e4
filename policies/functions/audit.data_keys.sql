-- Wrapped keys of texts. Nobody may select the column: a condition on it would be asked of every row.

-- The key under which a transaction records what its data subject said, and whether it outlives the transaction.
create or replace function audit.own_data_key(month date) returns table (id uuid, wrapped bytea, committed boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
as $$
  select k.id, k.wrapped, k.created_at <> now() from audit.data_key k
  where k.tenant_id = (select tenancy.tenant_id()) and k.subject_id = (select tenancy.subject_id()) and k.month = $1
$$;

-- Keys of texts, for who may reveal them.
create or replace function audit.revealed_keys(keys uuid[]) returns table (id uuid, wrapped bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select k.id, k.wrapped from audit.data_key k
  where k.tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')) and k.id = any ($1)
$$;

grant execute on function audit.own_data_key(date), audit.revealed_keys(uuid[]) to affidavit_runtime;
-- Nothing here is granted to anyone else.
