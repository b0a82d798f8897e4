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

-- Sets a password that its user has chosen, once the service has seen the old one or a one-time link: then, and only then, the
-- context names the user. From then on the user counts as a person of its own, and every link that it was given is spent.
create or replace function identity.set_password(new_hash text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := tenancy.tenant_id();
  who uuid := tenancy.presented('setting_password_of')::uuid;
begin
  update identity."user" u set credentials_of = null where u.tenant_id = tenant and u.id = who and u.status = 'active';
  if not found then
    raise exception 'no user chooses a password here' using errcode = 'insufficient_privilege';
  end if;
  insert into identity.password as p (tenant_id, user_id, hash) values (tenant, who, new_hash)
  on conflict (tenant_id, user_id) do update set hash = excluded.hash, changed_at = now();
  update identity.password_reset r set used_at = now() where r.tenant_id = tenant and r.user_id = who and r.used_at is null;
end
$$;

-- Whose password the one-time link sets that somebody presents.
create or replace function identity.presented_reset() returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.tenant_id, r.user_id
  from identity.password_reset r
  join identity."user" u on u.tenant_id = r.tenant_id and u.id = r.user_id and u.status = 'active'
  join tenancy.tenant t on t.id = r.tenant_id and t.status = 'active'
  where r.digest = decode((select tenancy.presented('digest')), 'hex') and r.used_at is null and r.expires_at > now();
end;

-- The second factor of the user who signs in or changes it: the context then names that user.
create or replace function identity.presented_second_factor()
returns table (sealed_secret text, confirmed boolean, last_step bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select f.sealed_secret, f.confirmed_at is not null, f.last_step
  from identity.second_factor f
  where f.tenant_id = (select tenancy.tenant_id()) and f.user_id::text = (select tenancy.presented('second_factor_of'));
end;

-- Takes a code of a time step; false when it, or a later one, was taken before.
create or replace function identity.take_code(step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  with taken as (
    update identity.second_factor f set last_step = $1
    where f.tenant_id = (select tenancy.tenant_id()) and f.user_id::text = (select tenancy.presented('second_factor_of')) and f.last_step < $1
    returning 1
  )
  select exists (select from taken);
end;

-- Takes a recovery code; false when there is none such, or it was taken before.
create or replace function identity.take_recovery_code(code bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  with taken as (
    update identity.recovery_code c set used_at = now()
    where c.tenant_id = (select tenancy.tenant_id()) and c.user_id::text = (select tenancy.presented('second_factor_of'))
      and c.digest = $1 and c.used_at is null
    returning 1
  )
  select exists (select from taken);
end;

-- Begins a second factor for the calling user, in place of one that was never confirmed; false when there is a confirmed one.
create or replace function identity.begin_second_factor(sealed text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if tenancy.context() ->> 'kind' is distinct from 'user' then
    return false;
  end if;
  insert into identity.second_factor as f (tenant_id, user_id, sealed_secret) values (tenancy.tenant_id(), tenancy.principal_id(), sealed)
  on conflict (tenant_id, user_id) do update set sealed_secret = excluded.sealed_secret, last_step = 0, created_at = now()
    where f.confirmed_at is null;
  return found;
end
$$;

-- Confirms the calling user's second factor, of which it has just shown a code, and keeps the digests of its recovery codes. The
-- session in which it was shown counts as one with a second factor.
create or replace function identity.confirm_second_factor(step bigint, recovery bytea[]) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update identity.second_factor f set confirmed_at = now(), last_step = step
  where f.tenant_id = tenancy.tenant_id() and f.user_id = tenancy.principal_id() and f.confirmed_at is null
    and f.user_id::text = tenancy.presented('second_factor_of');
  if not found then
    return false;
  end if;
  insert into identity.recovery_code (tenant_id, user_id, digest)
  select tenancy.tenant_id(), tenancy.principal_id(), unnest(recovery);
  update identity.session s set second_factor = true
  where s.tenant_id = tenancy.tenant_id() and s.user_id = tenancy.principal_id() and s.revoked_at is null
    and s.id::text = tenancy.presented('proved_session');
  return true;
end
$$;

-- Takes a second factor away: the user's own, once it has shown a code; or another's, when two people asked for it.
create or replace function identity.remove_second_factor(owner uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  with removed as (
    delete from identity.second_factor f
    where f.tenant_id = (select tenancy.tenant_id()) and f.user_id = $1
      and (f.user_id = (select tenancy.principal_id()) and f.user_id::text = (select tenancy.presented('second_factor_of'))
        or f.user_id <> (select tenancy.principal_id()) and (select tenancy.has_permission('users:manage'))
          and identity.has_joined('second_factor:remove', $1))
    returning 1
  )
  select exists (select from removed);
end;

-- Sets whether a tenant asks for a second factor; to stop asking, two people are needed.
create or replace function identity.require_second_factor(required boolean) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if not tenancy.has_permission('users:manage') or tenancy.context() ->> 'kind' is distinct from 'user'
    or not required and not identity.has_joined('second_factor:waive', tenancy.tenant_id())
  then
    return false;
  end if;
  insert into identity.sign_in_rule as r (tenant_id, second_factor_required, changed_by)
  values (tenancy.tenant_id(), required, tenancy.principal_id())
  on conflict (tenant_id) do update set second_factor_required = excluded.second_factor_required,
    changed_by = excluded.changed_by, changed_at = now();
  return true;
end
$$;

-- Uses something up that works once; false when it was used before. What has expired is forgotten on the way.
create or replace function identity.spend(token bytea, until timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  delete from identity.spent_token s where s.tenant_id = tenancy.tenant_id() and s.expires_at < now();
  insert into identity.spent_token (tenant_id, digest, expires_at) values (tenancy.tenant_id(), token, until)
  on conflict do nothing;
  return found;
end
$$;

-- Counts a request against a limit of so many seconds. Below a day the window slides, in sixtieths of it, and is never shorter

grant execute on function identity.presented_refresh_token(), identity.presented_password(), identity.presented_issuer(), identity.set_password(text),
  identity.presented_reset(), identity.presented_second_factor(), identity.take_code(bigint), identity.take_recovery_code(bytea),
  identity.begin_second_factor(text), identity.confirm_second_factor(bigint, bytea[]), identity.remove_second_factor(uuid),
  identity.require_second_factor(boolean), identity.spend(bytea, timestamptz) to affidavit_runtime;
-- Nothing here is granted to anyone else.
