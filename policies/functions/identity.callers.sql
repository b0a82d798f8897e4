-- Who a token or an API key stands for, asked anew at every request.

-- A user as a caller. Functions that take a context bind their transaction to it, and to none other that it may have been
-- bound to: who is calling is asked at every request, and this asks it in one round trip.
create or replace function identity.user_caller(context text, session uuid)
returns table (tenant_slug text, tenant_status text, tenant_requests_per_minute integer, principal_requests_per_minute integer,
  name text, live boolean, session_live boolean, lacks_second_factor boolean, roles text[], readable uuid[], writable uuid[])
language sql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  -- Reads the tables of tenancy before those of identity, in the order in which an upgrade locks them: the other way round,
  -- requests that wait for the upgrade would hold what it waits for.
  select tenancy.context() is null;
  select t.id from tenancy.tenant t where false;
  with caller as materialized (
    select (claims ->> 'tenant')::uuid as tenant, (claims ->> 'principal')::uuid as id
    from (select tenancy.context() as claims offset 0) bound
  ), held as materialized (
    select r.role from identity.user_role r
    where r.tenant_id = (select c.tenant from caller c) and r.user_id = (select c.id from caller c)
  ), granted as materialized (
    select distinct g.access, g.collection_id from identity.collection_grant g
    where g.tenant_id = (select c.tenant from caller c)
      and (g.principal_id = (select c.id from caller c) or g.role in (select h.role from held h))
  )
  select t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, u.username, u.status = 'active',
    s.revoked_at is null and s.expires_at > now(),
    not s.second_factor and s.method <> 'oidc' and exists (select from identity.sign_in_rule i
      where i.tenant_id = u.tenant_id and i.second_factor_required),
    array(select h.role from held h order by h.role),
    array(select g.collection_id from granted g where g.access = 'read'
      and (u.credentials_of is null or g.collection_id = any ((select identity.read_by_all_behind_it())::uuid[]))),
    array(select g.collection_id from granted g where g.access = 'write')
  from identity."user" u
  join tenancy.tenant t on t.id = u.tenant_id
  join identity.session s on s.tenant_id = u.tenant_id and s.user_id = u.id and s.id = $2
  where u.tenant_id = (select c.tenant from caller c) and u.id = (select c.id from caller c);
end;

-- A key as a caller. It reads and writes what it was given as far as its owner may, but for what another person granted it.
create or replace function identity.key_caller(tenant uuid, key uuid)
returns table (tenant_id uuid, key_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, permissions text[], allowed_networks cidr[], requests_per_minute integer,
  requests_per_day integer, assertion_key text, live boolean, use_noted boolean, purpose text, owner_id uuid, owner_roles text[],
  readable uuid[], writable uuid[])
language sql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
begin atomic
  select k.tenant_id, k.id, t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, k.name, k.permissions,
    k.allowed_networks, k.requests_per_minute, k.requests_per_day, k.assertion_key,
    k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and k.suspended_at is null and o.status = 'active',
    coalesce(k.last_used_at >= now() - interval '1 minute', false), k.purpose, k.owner_id,
    array(select r.role from identity.user_role r where r.tenant_id = k.tenant_id and r.user_id = k.owner_id order by r.role),
    array(select g.collection_id from identity.collection_grant g
      where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'read'
        and (g.beyond_owner or g.collection_id = any ((select identity.granted_to($1, k.owner_id, 'read'))::uuid[]))),
    array(select g.collection_id from identity.collection_grant g
      where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'write'
        and (g.beyond_owner or g.collection_id = any ((select identity.granted_to($1, k.owner_id, 'write'))::uuid[])))
  from identity.api_key k
  join identity."user" o on o.tenant_id = k.tenant_id and o.id = k.owner_id
  join tenancy.tenant t on t.id = k.tenant_id
  where k.tenant_id = $1 and k.id = $2 and tenancy.require_home(k.tenant_id);
end;

-- The key that a presented secret opens, as a caller: what its holder learns by using it. As the owner, since a secret is
-- looked up across tenants.
create or replace function identity.presented_key(context text)
returns table (tenant_id uuid, key_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, permissions text[], allowed_networks cidr[], requests_per_minute integer,
  requests_per_day integer, assertion_key text, live boolean, use_noted boolean, purpose text, owner_id uuid, owner_roles text[],
  readable uuid[], writable uuid[])
language sql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  select tenancy.presented('digest');  -- both of tenancy's tables first, as for users
  select t.id from tenancy.tenant t where false;
  select c.* from identity.api_key_secret s cross join lateral identity.key_caller(s.tenant_id, s.key_id) c
  where s.digest = decode((select tenancy.presented('digest')), 'hex') and s.expires_at > now();
end;

-- The calling key as a caller, apart from any secret.
create or replace function identity.own_key()
returns table (tenant_id uuid, key_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, permissions text[], allowed_networks cidr[], requests_per_minute integer,
  requests_per_day integer, assertion_key text, live boolean, use_noted boolean, purpose text, owner_id uuid, owner_roles text[],
  readable uuid[], writable uuid[])
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select c.* from identity.key_caller((select tenancy.tenant_id()), (select tenancy.principal_id())) c;
end;

-- Keeps the time at which the calling key was last used, to the minute: a write for every request would make a busy key
-- wait for itself.
create or replace function identity.note_key_use() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update identity.api_key set last_used_at = now()
  where tenant_id = (select tenancy.tenant_id()) and id = (select tenancy.principal_id())
    and (last_used_at is null or last_used_at < now() - interval '1 minute')
$$;

grant execute on function identity.user_caller(text, uuid), identity.presented_key(text), identity.own_key(), identity.note_key_use()
  to affidavit_runtime;
-- Nothing here is granted to anyone else.
