-- Where a tenant is at home, as this cell knows it.

-- Whether a tenant is at home here, at an epoch if one is given. One without a row never moved.
create or replace function tenancy.is_home(tenant uuid, epoch bigint default null) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select r.state = 'home' and r.epoch = coalesce($2, r.epoch) from tenancy.residence r where r.tenant_id = $1),
    coalesce($2, 1) = 1)
$$;

-- True, or the typed refusal that the service answers with 421 or 503.
create or replace function tenancy.require_home(tenant uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if not tenancy.is_home(tenant) then
    raise exception 'the tenant is not at home in this cell' using errcode = 'AF421';
  end if;
  return true;
end
$$;

-- What is the operator's to change of a tenant is changed where the tenant is at home. Replication passes it by.
create or replace function tenancy.refuse_absent() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$ begin perform tenancy.require_home(old.id); return new; end $$;

-- Tenants whose rows are here and that nobody works for here: they are coming, or have gone.
create or replace function tenancy.elsewhere() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select r.tenant_id from tenancy.residence r where r.state in ('arriving', 'departed') $$;

-- Tenants that nobody begins any work for here: the same, and those that are about to go.
create or replace function tenancy.not_at_home() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select r.tenant_id from tenancy.residence r where r.state <> 'home' $$;

-- Whether the old copy of a tenant that has moved may go, also its log: the true one is where the tenant is at home.
create or replace function tenancy.has_left(tenant uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select exists (select from tenancy.residence r where r.tenant_id = $1 and r.state = 'departed' and r.purge_after <= now())
$$;

-- Tenants that came with checkpoints which this cell's log of all checkpoints does not hold yet.
create or replace function tenancy.newcomers() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select r.tenant_id from tenancy.residence r where r.state = 'home' and not r.checkpoints_adopted $$;

create or replace function tenancy.note_adopted(tenants uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ update tenancy.residence set checkpoints_adopted = true where tenant_id = any ($1) and state = 'home' $$;

create or replace function tenancy.cell_name() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select c.name from tenancy.cell c $$;

grant execute on function tenancy.cell_name() to affidavit_runtime;
grant execute on function tenancy.elsewhere(), tenancy.newcomers(), tenancy.note_adopted(uuid[]) to affidavit_sealer;
grant execute on function tenancy.is_home(uuid, bigint) to affidavit_operator;
-- Not granted to the runtime role: what tells of other tenants. Not granted to anyone: what else is here, and all that changes where
-- a tenant is at home.
