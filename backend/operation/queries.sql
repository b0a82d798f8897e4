-- name: create_tenant
-- A new tenant with its first collection, and which roles read and write that.
select identity.create_tenant($1, $2, $3, $4, $5, $6, $7)

-- name: tenant
-- A tenant by slug, with how many chunks in force it holds and where they are.
select t.id, t.slug, t.name, t.status, t.created_at, t.delete_after, t.requests_per_minute, t.principal_requests_per_minute,
  (select coalesce(sum(s.chunks), 0)::bigint from retrieval.collection_size s where s.tenant_id = t.id) as chunks,
  coalesce((select p.state from retrieval.placement p where p.tenant_id = t.id), 'shared') as placement
from tenancy.tenant t where t.slug = $1

-- name: tenants
-- All tenants, with the same.
select t.id, t.slug, t.name, t.status, t.created_at, t.delete_after, t.requests_per_minute, t.principal_requests_per_minute,
  (select coalesce(sum(s.chunks), 0)::bigint from retrieval.collection_size s where s.tenant_id = t.id) as chunks,
  coalesce((select p.state from retrieval.placement p where p.tenant_id = t.id), 'shared') as placement
from tenancy.tenant t order by t.slug

-- name: change_tenant
-- Name and limits of a tenant.
update tenancy.tenant set name = $2, requests_per_minute = $3, principal_requests_per_minute = $4 where id = $1

-- name: set_tenant_status
-- Whether a tenant works, and from when it can be purged.
update tenancy.tenant set status = $2, delete_after = $3 where id = $1

-- name: operator_key
-- The live operator key with this digest.
select id, name from identity.operator_key where digest = $1 and revoked_at is null

-- name: add_operator_key
-- A new operator key.
insert into identity.operator_key (id, name, digest) values ($1, $2, $3)

-- name: operator_keys
-- All operator keys, newest first.
select name, created_at, revoked_at from identity.operator_key order by id desc

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
  requests_per_day, tokens_per_day, tokens_per_month, cost_per_month_micros)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: keys
-- The keys of a tenant that have not ended.
select k.id, k.name, k.purpose, k.permissions, u.username as owner, k.expires_at, k.suspended_at, k.last_used_at
from identity.api_key k left join identity."user" u on u.tenant_id = k.tenant_id and u.id = k.owner_id
where k.tenant_id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) order by k.id

-- name: end_key_secrets
-- Lets the newest secret of a key live on for so many seconds, and ends older ones now.
update identity.api_key_secret s
set expires_at = least(s.expires_at, case when s.id = (select max(n.id::text)::uuid from identity.api_key_secret n
  where n.tenant_id = $1 and n.key_id = $2) then now() + make_interval(secs => $3) else now() end)
where s.tenant_id = $1 and s.key_id = $2 and s.expires_at > now()

-- name: bound_key
-- What bounds a key; what is null stays.
update identity.api_key set purpose = coalesce($3, purpose), allowed_networks = coalesce($4, allowed_networks),
  requests_per_minute = coalesce($5, requests_per_minute), requests_per_day = coalesce($6, requests_per_day),
  tokens_per_day = coalesce($7, tokens_per_day), tokens_per_month = coalesce($8, tokens_per_month),
  cost_per_month_micros = coalesce($9, cost_per_month_micros), expires_at = coalesce($10, expires_at)
where tenant_id = $1 and id = $2

-- name: give_key
-- Gives a key another owner; what it was granted beyond the rights of the one before goes.
with given as (
  update identity.api_key set owner_id = $3, suspended_at = null, handed_over_at = now(), handed_over_by = null
  where tenant_id = $1 and id = $2 returning tenant_id, id
)
update identity.collection_grant g set beyond_owner = false from given where g.tenant_id = given.tenant_id and g.principal_id = given.id

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
