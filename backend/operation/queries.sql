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
-- Lets one principal read or write a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access) values ($1, $2, $3, $4, $5)
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

-- name: add_key
-- A new API key that no user created.
insert into identity.api_key (tenant_id, id, name, permissions, expires_at) values ($1, $2, $3, $4, $5)

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
