-- What somebody presented before it is known who they are.

-- Whoever presents a refresh token learns whose it is, whichever tenant that belongs to.
create or replace function identity.presented_refresh_token()
returns table (tenant_id uuid, id uuid, session_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select t.tenant_id, t.id, t.session_id, s.user_id
  from identity.refresh_token t join identity.session s on s.tenant_id = t.tenant_id and s.id = t.session_id
  where t.digest = decode((select tenancy.presented('digest')), 'hex')
$$;

-- A hash is read only while its user signs in: the context then names the user who was presented, and nobody is a caller.
create or replace function identity.presented_password() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select p.hash from identity.password p
  where p.tenant_id = (select tenancy.tenant_id()) and p.user_id = (select tenancy.presented('password_of'))::uuid
$$;

-- Whoever signs in to a tenant with a provider learns which one that is, before anyone is a caller.
create or replace function identity.presented_issuer()
returns table (id uuid, issuer text, client_id text, client_secret text, scopes text, groups_claim text, role_of_group jsonb,
  creates_users boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select i.id, i.issuer, i.client_id, i.client_secret, i.scopes, i.groups_claim, i.role_of_group, i.creates_users
  from identity.issuer i
  where i.tenant_id = (select tenancy.tenant_id()) and i.tenant_id::text = (select tenancy.presented('issuer_of'))
$$;

grant execute on function identity.presented_refresh_token(), identity.presented_password(), identity.presented_issuer()
  to affidavit_runtime;
-- Nothing here is granted to anyone else.
