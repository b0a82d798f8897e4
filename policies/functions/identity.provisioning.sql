-- What a tenant's provider is and may, while it keeps users and groups here.

-- The provider whose bearer is presented, as a caller: what its holder learns by using it. As the owner, since a bearer is looked
-- up across tenants.
create or replace function identity.presented_scim_bearer(context text)
returns table (tenant_id uuid, bearer_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
  principal_requests_per_minute integer, name text, issuer_id uuid, issuer text, live boolean, use_noted boolean)
language sql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  select tenancy.presented('digest');  -- refuses a forged context, also where no bearer is that a condition could be asked of
  select b.tenant_id, b.id, t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, b.name, i.id, i.issuer,
    b.revoked_at is null and (b.expires_at is null or b.expires_at > now()),
    coalesce(b.last_used_at >= now() - interval '1 minute', false)
  from identity.scim_bearer b
  join identity.issuer i on i.tenant_id = b.tenant_id and i.id = b.issuer_id
  join tenancy.tenant t on t.id = b.tenant_id
  where b.digest = decode((select tenancy.presented('digest')), 'hex') and tenancy.require_home(b.tenant_id);
end;

-- Keeps the time at which a bearer of the calling provider was last used, to the minute.
create or replace function identity.note_bearer_use(bearer uuid) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update identity.scim_bearer set last_used_at = now()
  where tenant_id = (select tenancy.tenant_id()) and id = $1 and issuer_id = (select tenancy.principal_id())
    and (last_used_at is null or last_used_at < now() - interval '1 minute')
$$;

-- Of some users of the calling provider, those whose roles are not the ones that their groups stand for, with both. The operator
-- said what a group stands for, by its name or the provider's own id.
create or replace function identity.roles_to_settle(people uuid[])
returns table (user_id uuid, had text[], has text[])
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  with provider as (
    select i.tenant_id, i.id, i.role_of_group from identity.issuer i
    where i.tenant_id = (select tenancy.tenant_id()) and i.id = (select tenancy.principal_id())
      and (select tenancy.context() ->> 'kind') = 'issuer'
  ), settled as (
    select u.user_id,
      array(select r.role from identity.user_role r where r.tenant_id = u.tenant_id and r.user_id = u.user_id order by r.role) as had,
      array(select distinct stands.role
        from identity.provisioned_member m
        join identity.provisioned_group g on g.tenant_id = m.tenant_id and g.id = m.group_id and g.issuer_id = p.id
        join lateral jsonb_each_text(p.role_of_group) stands (named, role) on stands.named in (g.display_name, g.external_id)
        where m.tenant_id = u.tenant_id and m.user_id = u.user_id order by stands.role) as has
    from identity.provisioned_user u join provider p on p.tenant_id = u.tenant_id and p.id = u.issuer_id
    where u.user_id = any ($1)
  )
  select s.user_id, s.had, s.has from settled s where s.had is distinct from s.has;
end;

-- Gives a user of the calling provider another name; false for one that it does not keep.
create or replace function identity.rename_provisioned_user(renamed uuid, new_name text) returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  with changed as (
    update identity."user" u set username = $2
    where u.tenant_id = (select tenancy.tenant_id()) and u.id = $1 and u.status <> 'deleted'
      and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage'))
      and exists (select from identity.provisioned_user p
        where p.tenant_id = u.tenant_id and p.user_id = u.id and p.issuer_id = (select tenancy.principal_id()))
    returning 1
  )
  select exists (select from changed);
end;

grant execute on function identity.presented_scim_bearer(text), identity.note_bearer_use(uuid), identity.roles_to_settle(uuid[]),
  identity.rename_provisioned_user(uuid, text) to affidavit_runtime;
-- Nothing here is granted to anyone else.
