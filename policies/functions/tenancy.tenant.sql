-- What is told of a tenant, and how one is made.

-- Through functions, since tenants share an index on their slugs: a role that may select the column could ask the index,
-- by EXPLAIN ANALYZE, which slugs exist.
create or replace function tenancy.own_tenant()
returns table (slug text, status text, requests_per_minute integer, principal_requests_per_minute integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute
  from tenancy.tenant t where t.id = (select tenancy.tenant_id())
$$;

-- The tenant of whoever signs in, named by its slug or by a domain of its e-mail addresses.
create or replace function tenancy.presented_tenant() returns table (id uuid, status text, slug text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select t.id, t.status, t.slug from tenancy.tenant t
  where t.id = coalesce(
    (select n.id from tenancy.tenant n where n.slug = (select tenancy.presented('tenant'))),
    (select d.tenant_id from tenancy.domain d where d.domain = (select tenancy.presented('tenant'))))
$$;

-- Tenants whose deletion can no longer be taken back, and on which nobody placed a hold.
create or replace function tenancy.purgeable_tenants() returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select t.id from tenancy.tenant t
  where t.status = 'deleting' and t.delete_after <= now() and tenancy.is_home(t.id)
    and not exists (select from audit.hold h where h.tenant_id = t.id and h.released_at is null)
$$;

-- A tenant with one collection. A function, so that the operator's role writes these rows only together, and reads none.
create or replace function identity.create_tenant(
  tenant uuid, slug text, name text, collection uuid, collection_slug text, readers text[], writers text[])
returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into tenancy.tenant (id, slug, name) values ($1, $2, $3);
  insert into documents.collection (tenant_id, id, slug, name) values ($1, $4, $5, initcap($5));
  insert into identity.collection_grant (tenant_id, id, collection_id, role, access)
    select $1, gen_random_uuid(), $4, unnest($6), 'read' union all select $1, gen_random_uuid(), $4, unnest($7), 'write'
$$;

-- A caller learns slug and status of its own tenant, and who signs in those of the one that was presented.
grant execute on function tenancy.own_tenant(), tenancy.presented_tenant() to affidavit_runtime;
grant execute on function identity.create_tenant(uuid, text, text, uuid, text, text[], text[]) to affidavit_operator;
-- Not granted to anyone: tenancy.purgeable_tenants.
