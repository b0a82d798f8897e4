-- Who a token or an API key stands for, asked anew at every request.

-- A user as a caller. Functions that take a context bind their transaction to it, and to none other that it may have been
-- bound to: who is calling is asked at every request, and this asks it in one round trip.
create or replace function identity.user_caller(context text, session uuid)
returns table (tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, live boolean, session_live boolean, roles text[], readable uuid[],
  writable uuid[])
language sql volatile set plan_cache_mode = force_generic_plan
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  with held as (
    select r.role from identity.user_role r
    where r.tenant_id = (select tenancy.tenant_id()) and r.user_id = (select tenancy.principal_id())
  ), granted as (
    select distinct g.access, g.collection_id from identity.collection_grant g
    where g.tenant_id = (select tenancy.tenant_id())
      and (g.principal_id = (select tenancy.principal_id()) or g.role in (select h.role from held h))
  )
  select t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, u.username, u.status = 'active',
    s.revoked_at is null and s.expires_at > now(),
    array(select h.role from held h order by h.role),
    array(select g.collection_id from granted g where g.access = 'read'),
    array(select g.collection_id from granted g where g.access = 'write')
  from identity."user" u
  cross join tenancy.own_tenant() t
  join identity.session s on s.tenant_id = u.tenant_id and s.user_id = u.id and s.id = $2
  where u.tenant_id = (select tenancy.tenant_id()) and u.id = (select tenancy.principal_id());
end;

-- The key that a presented secret opens, as a caller: what its holder learns by using it. As the owner, since a secret is
-- looked up across tenants.
-- Whoever presents a secret learns which key it opens, whichever tenant that belongs to.
create or replace function identity.presented_key(context text)
returns table (tenant_id uuid, key_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, permissions text[], allowed_networks cidr[], requests_per_minute integer,
  requests_per_day integer, assertion_key text, live boolean, use_noted boolean, readable uuid[], writable uuid[])
language sql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  select k.tenant_id, k.id, t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, k.name, k.permissions,
    k.allowed_networks, k.requests_per_minute, k.requests_per_day, k.assertion_key,
    k.revoked_at is null and (k.expires_at is null or k.expires_at > now()),
    coalesce(k.last_used_at >= now() - interval '1 minute', false),
    array(select g.collection_id from identity.collection_grant g
      where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'read'),
    array(select g.collection_id from identity.collection_grant g
      where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'write')
  from identity.api_key_secret s
  join identity.api_key k on k.tenant_id = s.tenant_id and k.id = s.key_id
  join tenancy.tenant t on t.id = k.tenant_id
  where s.digest = decode((select tenancy.presented('digest')), 'hex') and s.expires_at > now();
end;

-- To the minute: a write for every request would make a busy key wait for itself.
create or replace function identity.note_key_use() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update identity.api_key set last_used_at = now()
  where tenant_id = (select tenancy.tenant_id()) and id = (select tenancy.principal_id())
    and (last_used_at is null or last_used_at < now() - interval '1 minute')
$$;

grant execute on function identity.user_caller(text, uuid), identity.presented_key(text), identity.note_key_use() to
  affidavit_runtime;
-- Nothing here is granted to anyone else.
