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
-- context names the user. By a link, the user counts from then on as the administrator who made it and could have used it; by one of
-- the operator's, as a person of its own; and every link that it was given is spent. By the old password nothing changes of who that
-- is, since whoever knew it can have chosen the new one. Whoever lost the old password and the links at the same moment, since it
-- became a reviewer, sets none.
create or replace function identity.set_password(new_hash text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := tenancy.tenant_id();
  who uuid := tenancy.presented('setting_password_of')::uuid;
  link bytea := decode(tenancy.presented('digest'), 'hex');
  made_by uuid;
begin
  perform from identity."user" u where u.tenant_id = tenant and u.id = who and u.status = 'active' for update;
  if found and link is null then
    perform from identity.password p where p.tenant_id = tenant and p.user_id = who;
  elsif found then
    update identity.password_reset r set used_at = now()
    where r.tenant_id = tenant and r.user_id = who and r.digest = link and r.used_at is null
    returning r.made_by into made_by;
  end if;
  if not found then
    raise exception 'no user chooses a password here' using errcode = 'insufficient_privilege';
  end if;
  if link is not null then
    update identity."user" u set credentials_of = made_by where u.tenant_id = tenant and u.id = who;
  end if;
  insert into identity.password as p (tenant_id, user_id, hash, chosen) values (tenant, who, new_hash, true)
  on conflict (tenant_id, user_id) do update set hash = excluded.hash, chosen = true, changed_at = now();
  update identity.password_reset r set used_at = now() where r.tenant_id = tenant and r.user_id = who and r.used_at is null;
end
$$;

-- Whether an administrator could become, by a link of its making, somebody that it must not be: a reviewer of what administrators do,
-- or who signs in through the tenant's provider, which may make that user a reviewer at any time.
create or replace function identity.is_beyond_administrators(tenant uuid, person uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (select from identity.user_role r where r.tenant_id = $1 and r.user_id = $2 and r.role in ('compliance', 'privacy'))
    or exists (select from identity.provisioned_user p where p.tenant_id = $1 and p.user_id = $2)
    or exists (select from identity.external_identity e where e.tenant_id = $1 and e.user_id = $2);
end;

-- Whether the caller, who manages users, may make a link with which a user chooses a password.
create or replace function identity.may_be_given_a_link(person uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select (select tenancy.has_permission('users:manage'))
    and exists (select from identity."user" u where u.tenant_id = (select tenancy.tenant_id()) and u.id = $1)
    and not identity.is_beyond_administrators((select tenancy.tenant_id()), $1);
end;

-- What others knew of a user ends when it first becomes a reviewer of what administrators do: links that administrators made, and the
-- password, which one of them may have chosen itself, with the sessions that were opened by it. The operator gives it another, or it
-- signs in through the provider. A password that the operator sets in the same transaction stays. The user's row is changed first, so
-- that a password that is being set at the same moment is seen.
create or replace function identity.end_what_was_known_of_a_reviewer() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from identity.user_role r where r.tenant_id = new.tenant_id and r.user_id = new.user_id
    and r.role in ('compliance', 'privacy') and r.role <> new.role)
  then
    return null;
  end if;
  update identity."user" u set credentials_of = null where u.tenant_id = new.tenant_id and u.id = new.user_id;
  update identity.password_reset r set used_at = now()
  where r.tenant_id = new.tenant_id and r.user_id = new.user_id and r.used_at is null and r.made_by is not null;
  delete from identity.password p where p.tenant_id = new.tenant_id and p.user_id = new.user_id and p.changed_at <> now();
  if found then
    update identity.session s set revoked_at = now(), revoked_reason = 'became a reviewer'
    where s.tenant_id = new.tenant_id and s.user_id = new.user_id and s.revoked_at is null and s.method is distinct from 'oidc';
  end if;
  return null;
end
$$;

create or replace trigger end_what_was_known_of_a_reviewer after insert on identity.user_role
  for each row when (new.role in ('compliance', 'privacy')) execute function identity.end_what_was_known_of_a_reviewer();

-- Whose password the one-time link sets that somebody presents. One that an administrator made sets none of a user whom it could not
-- be made for any more.
create or replace function identity.presented_reset() returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.tenant_id, r.user_id
  from identity.password_reset r
  join identity."user" u on u.tenant_id = r.tenant_id and u.id = r.user_id and u.status = 'active'
  join tenancy.tenant t on t.id = r.tenant_id and t.status = 'active'
  where r.digest = decode((select tenancy.presented('digest')), 'hex') and r.used_at is null and r.expires_at > now()
    and (r.made_by is null or not identity.is_beyond_administrators(r.tenant_id, r.user_id));
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

grant execute on function identity.presented_refresh_token(), identity.presented_password(), identity.presented_issuer(), identity.set_password(text),
  identity.presented_reset(), identity.may_be_given_a_link(uuid), identity.presented_second_factor(), identity.take_code(bigint),
  identity.take_recovery_code(bytea),
  identity.begin_second_factor(text), identity.confirm_second_factor(bigint, bytea[]), identity.remove_second_factor(uuid),
  identity.require_second_factor(boolean), identity.spend(bytea, timestamptz) to affidavit_runtime;
-- Nothing here is granted to anyone else.
