-- name: create_tenant
-- A new tenant with its first collection, and which roles read and write that.
select identity.create_tenant($1, $2, $3, $4, $5, $6, $7)

-- name: tenant
-- A tenant by slug, with how many chunks in force it holds and where they are.
select t.id, t.slug, t.name, t.status, t.created_at, t.delete_after, t.requests_per_minute, t.principal_requests_per_minute,
  (select coalesce(sum(s.chunks), 0)::bigint from retrieval.collection_size s where s.tenant_id = t.id) as chunks,
  coalesce((select p.state from retrieval.placement p where p.tenant_id = t.id), 'shared') as placement,
  array(select d.domain from tenancy.domain d where d.tenant_id = t.id order by d.domain) as domains
from tenancy.tenant t where t.slug = $1

-- name: lock_tenant
-- Lets nobody move a tenant until the transaction ends.
select from tenancy.tenant where id = $1 for key share

-- name: is_home
-- Whether a tenant is at home in this cell.
select tenancy.is_home($1)

-- name: tenants
-- All tenants, with the same.
select t.id, t.slug, t.name, t.status, t.created_at, t.delete_after, t.requests_per_minute, t.principal_requests_per_minute,
  (select coalesce(sum(s.chunks), 0)::bigint from retrieval.collection_size s where s.tenant_id = t.id) as chunks,
  coalesce((select p.state from retrieval.placement p where p.tenant_id = t.id), 'shared') as placement,
  array(select d.domain from tenancy.domain d where d.tenant_id = t.id order by d.domain) as domains
from tenancy.tenant t order by t.slug

-- name: add_domain
-- A domain of a tenant's e-mail addresses; no row when it is somebody's already.
insert into tenancy.domain (tenant_id, domain) values ($1, $2) on conflict (domain) do nothing returning domain

-- name: tenant_of_domain
-- Whose a domain is.
select t.slug from tenancy.domain d join tenancy.tenant t on t.id = d.tenant_id where d.domain = $1

-- name: remove_domain
-- Takes a domain away from a tenant; no row when it is not the tenant's.
delete from tenancy.domain where tenant_id = $1 and domain = $2 returning domain

-- name: change_tenant
-- Name and limits of a tenant.
update tenancy.tenant set name = $2, requests_per_minute = $3, principal_requests_per_minute = $4 where id = $1

-- name: set_tenant_status
-- Whether a tenant works, and from when it can be purged.
update tenancy.tenant set status = $2, delete_after = $3 where id = $1

-- name: operator_key
-- The live operator key with this digest, or with this earlier one while that still holds.
select id, name from identity.operator_key
where revoked_at is null and (digest = $1 or (earlier_digest = $1 and earlier_until > now()))

-- name: operator_key_by_id
-- The live operator key of this id.
select id, name from identity.operator_key where id = $1 and revoked_at is null

-- name: add_operator_key
-- A new operator key.
insert into identity.operator_key (id, name, digest) values ($1, $2, $3)

-- name: operator_keys
-- All operator keys, newest first.
select name, created_at, rotated_at, earlier_until, revoked_at from identity.operator_key order by id desc

-- name: rotate_operator_key
-- Another digest for a live operator key; the present one holds for so many seconds more. No row when there is none.
update identity.operator_key
set earlier_digest = digest, earlier_until = now() + make_interval(secs => $3), digest = $2, rotated_at = now()
where name = $1 and revoked_at is null returning id

-- name: revoke_operator_key
-- Ends an operator key; no row when there is none to end.
update identity.operator_key set revoked_at = now() where name = $1 and revoked_at is null returning id

-- name: add_collection
-- A new collection of a tenant.
insert into documents.collection (tenant_id, id, slug, name, approval_required, language) values ($1, $2, $3, $4, $5, $6)

-- name: collection
-- A collection by slug.
select id from documents.collection where tenant_id = $1 and slug = $2

-- name: grant_role
-- Lets everyone of a role read or write a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, role, access) values ($1, $2, $3, $4, $5)
on conflict do nothing

-- name: grant_principal
-- Lets one principal read or write a collection; a key also where its owner may not, since the operator is another person.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access, beyond_owner)
values ($1, $2, $3, $4, $5, exists (select from identity.api_key k where k.tenant_id = $1 and k.id = $4))
on conflict do nothing

-- name: add_user
-- A new user.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)

-- name: user
-- A user by name.
select id from identity."user" where tenant_id = $1 and username = $2

-- name: active_user
-- A user by name who may sign in.
select id from identity."user" where tenant_id = $1 and username = $2 and status = 'active'

-- name: add_reset
-- A one-time link with which a user chooses a password, made by nobody of the tenant.
insert into identity.password_reset (tenant_id, id, user_id, digest, expires_at)
values ($1, $2, $3, $4, now() + make_interval(secs => $5))

-- name: add_password
-- The password hash of a user.
insert into identity.password (tenant_id, user_id, hash) values ($1, $2, $3)

-- name: add_role
-- A role of a user.
insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, $3)

-- name: possible_owners
-- Active users of a tenant, or the one of this name, with their roles, the first first.
select u.id, array(select r.role from identity.user_role r where r.tenant_id = u.tenant_id and r.user_id = u.id) as roles
from identity."user" u where u.tenant_id = $1 and u.status = 'active' and ($2::text is null or u.username = $2) order by u.id

-- name: add_key
-- A new API key that the operator made, and who answers for it.
insert into identity.api_key (tenant_id, id, name, permissions, expires_at, owner_id, purpose, allowed_networks, requests_per_minute,
  requests_per_day, tokens_per_day, tokens_per_month, cost_per_day_micros, cost_per_month_micros, assertion_key)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: keys
-- The keys of a tenant that have not ended, with what bounds them.
select k.id, k.name, k.purpose, k.permissions, u.username as owner, k.created_at, k.expires_at, k.suspended_at, k.last_used_at,
  array(select n::text from unnest(k.allowed_networks) n) as networks, k.requests_per_minute as per_minute, k.requests_per_day as per_day,
  k.tokens_per_day as tokens_day, k.tokens_per_month as tokens_month, k.cost_per_day_micros as cost_day_micros,
  k.cost_per_month_micros as cost_month_micros,
  k.assertion_key is not null as signs_end_users,
  array(select c.slug from identity.collection_grant g join documents.collection c on c.tenant_id = g.tenant_id and c.id = g.collection_id
    where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'read' order by c.slug) as collections,
  array(select c.slug from identity.collection_grant g join documents.collection c on c.tenant_id = g.tenant_id and c.id = g.collection_id
    where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'write' order by c.slug) as writable
from identity.api_key k left join identity."user" u on u.tenant_id = k.tenant_id and u.id = k.owner_id
where k.tenant_id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) order by k.id

-- name: end_key_secrets
-- Lets the newest secret of a key live on for so many seconds, and ends older ones now.
update identity.api_key_secret s
set expires_at = least(s.expires_at, case when s.id = (select max(n.id::text)::uuid from identity.api_key_secret n
  where n.tenant_id = $1 and n.key_id = $2) then now() + make_interval(secs => $3) else now() end)
where s.tenant_id = $1 and s.key_id = $2 and s.expires_at > now()

-- name: change_key
-- What bounds a key.
update identity.api_key set name = $3, purpose = $4, expires_at = $5, allowed_networks = $6, requests_per_minute = $7,
  requests_per_day = $8, tokens_per_day = $9, tokens_per_month = $10, cost_per_day_micros = $11, cost_per_month_micros = $12
where tenant_id = $1 and id = $2

-- name: revoke_key
-- Ends a key.
update identity.api_key set revoked_at = now() where tenant_id = $1 and id = $2

-- name: add_key_secret
-- The secret of a new API key.
insert into identity.api_key_secret (tenant_id, id, key_id, lookup_id, digest) values ($1, $2, $3, $4, $5)

-- name: add_event
-- An event of the operator. It has no payloads: the operator encrypts nothing with a tenant's keys.
insert into audit.event (id, envelope) values ($1, $2)

-- name: add_issuer
-- The OpenID provider that a tenant trusts.
insert into identity.issuer
  (tenant_id, id, issuer, client_id, client_secret, scopes, groups_claim, role_of_group, creates_users)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: remove_issuer
-- Takes trust and links away; no row when there is none.
delete from identity.issuer where tenant_id = $1 returning issuer

-- name: hold_issuer
-- Lets sign-ins through the tenant's issuer that have begun end first, and those that come wait.
select from identity.issuer where tenant_id = $1 for update

-- name: hold_external_identities
-- The same for users who signed in before.
select from identity.external_identity where tenant_id = $1 for update

-- name: suspend_external_keys
-- Lets the keys of users who are subjects of the tenant's issuer wait for another owner.
update identity.api_key set suspended_at = now()
where tenant_id = $1 and revoked_at is null and suspended_at is null
  and owner_id in (select user_id from identity.external_identity where tenant_id = $1)

-- name: end_external_sessions
-- Ends the sessions of users who are subjects of the tenant's issuer.
update identity.session set revoked_at = now(), revoked_reason = 'issuer distrusted'
where tenant_id = $1 and revoked_at is null and user_id in (select user_id from identity.external_identity where tenant_id = $1)

-- name: link_user
-- Makes a user that exists a subject of the tenant's issuer.
insert into identity.external_identity (tenant_id, issuer_id, subject, user_id)
select u.tenant_id, i.id, $3, u.id
from identity."user" u join identity.issuer i on i.tenant_id = u.tenant_id
where u.tenant_id = $1 and u.username = $2
returning user_id

-- name: measured_log
-- How many events wait to be sealed and the oldest for how long, how old the newest checkpoint is, and how sealing goes.
select (select count(*) from audit.unsealed) as events,
  coalesce((select extract(epoch from clock_timestamp())
    - ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
    from audit.unsealed order by event_id limit 1), 0)::double precision as lag,
  coalesce((select extract(epoch from clock_timestamp() - c.signed_at) from audit.checkpoint c
    where c.tenant_id = '00000000-0000-0000-0000-000000000001' order by c.id desc limit 1), 'NaN')::double precision as checkpoint_age,
  (select halted is not null from audit.sealer)::int as halted,
  (select extract(epoch from clock_timestamp() - sealed_at) from audit.sealer)::double precision as idle

-- name: measured_totals
-- Jobs by kind and status, and tenants by size.
select kind, band, number, oldest from tenancy.totals()

-- name: turns_left_open
-- How many questions that were asked between two moments have no end on record. Tenant by tenant, as the index is.
select count(*) from audit.log l, lateral (
  select from audit.event e
  where e.tenant_id = l.tenant_id and e.action = 'prompt:submitted' and e.id >= $1 and e.id < $2
    and not exists (select from audit.event a where a.tenant_id = e.tenant_id and a.turn = e.id and a.id <> e.id)
) open

-- name: issuers
-- Which OpenID provider each tenant trusts.
select t.slug as tenant, i.issuer, i.client_id, i.scopes, i.groups_claim, i.creates_users
from identity.issuer i join tenancy.tenant t on t.id = i.tenant_id order by t.slug

-- name: add_scim_bearer
-- A bearer of the provider that a tenant trusts; no row when it trusts none.
insert into identity.scim_bearer (tenant_id, id, issuer_id, name, lookup_id, digest, expires_at)
select i.tenant_id, $2, i.id, $3, $4, $5, $6 from identity.issuer i where i.tenant_id = $1
returning id

-- name: revoke_scim_bearer
-- Ends a bearer; no row when there is none to end.
update identity.scim_bearer set revoked_at = now() where tenant_id = $1 and name = $2 and revoked_at is null returning id

-- name: scim_bearers
-- All bearers of providers, by tenant.
select t.slug as tenant, b.name, i.issuer, b.created_at, b.expires_at, b.revoked_at, b.last_used_at
from identity.scim_bearer b
join identity.issuer i on i.tenant_id = b.tenant_id and i.id = b.issuer_id
join tenancy.tenant t on t.id = b.tenant_id
order by t.slug, b.id
