-- name: presented_tenant
-- The tenant whose slug somebody presents who signs in.
select id, slug, status from tenancy.tenant where slug = $1

-- name: presented_user
-- The user whose name somebody presents who signs in to a tenant.
select id, status from identity."user" where tenant_id = $1 and username = $2

-- name: password_hash
-- The password hash of the user who signs in.
select hash from identity.password where tenant_id = $1 and user_id = $2

-- name: user_caller
-- A user as a caller: status, roles, and the collections granted to it or to one of its roles.
select t.slug as tenant_slug, t.status as tenant_status, u.username as name, u.status = 'active' as live, s.revoked_at is null
    and s.expires_at > now() as session_live,
  array(select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2 order by role) as roles,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'read' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))) as readable,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'write' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))) as writable
from identity."user" u
join tenancy.tenant t on t.id = u.tenant_id
join identity.session s on s.tenant_id = u.tenant_id and s.user_id = u.id and s.id = $3
where u.tenant_id = $1 and u.id = $2

-- name: presented_key
-- The API key whose digest is presented.
select tenant_id, id, digest from identity.api_key where lookup_id = $1

-- name: key_caller
-- An API key as a caller: whether it is live, its permissions, and the collections granted to it.
select t.slug as tenant_slug, t.status as tenant_status, k.name, k.permissions,
  k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) as live,
  array(select g.collection_id from identity.collection_grant g
    where g.tenant_id = $1 and g.principal_id = $2 and g.access = 'read') as readable,
  array(select g.collection_id from identity.collection_grant g
    where g.tenant_id = $1 and g.principal_id = $2 and g.access = 'write') as writable
from identity.api_key k
join tenancy.tenant t on t.id = k.tenant_id
where k.tenant_id = $1 and k.id = $2

-- name: open_session
-- A new session of the caller.
insert into identity.session (tenant_id, id, user_id, expires_at) values ($1, $2, $3, now() + make_interval(days => $4))

-- name: add_refresh_token
-- The next refresh token of a session.
insert into identity.refresh_token (tenant_id, id, session_id, lookup_id, digest) values ($1, $2, $3, $4, $5)

-- name: presented_refresh_token
-- The refresh token whose digest is presented.
select tenant_id, id, session_id, used_at from identity.refresh_token where lookup_id = $1

-- name: session_of_refresh_token
-- The session that a presented refresh token belongs to.
select user_id from identity.session where tenant_id = $1 and id = $2

-- name: use_refresh_token
-- Marks a refresh token as used; no row when it was used before, also by somebody at the same moment.
update identity.refresh_token set used_at = now() where tenant_id = $1 and id = $2 and used_at is null returning id

-- name: revoke_session
-- Ends a session and all its refresh tokens.
update identity.session set revoked_at = now(), revoked_reason = $3 where tenant_id = $1 and id = $2 and revoked_at is null

-- name: collections_by_id
-- Slugs of collections that the caller sees.
select id, slug from documents.collection where tenant_id = $1 and id = any ($2::uuid[]) order by slug

-- name: collections_by_slug
-- Ids of collections that the caller may read, by slug.
select id, slug from documents.collection where tenant_id = $1 and slug = any ($2::text[])

-- name: add_key
-- A new API key.
insert into identity.api_key (tenant_id, id, name, lookup_id, digest, permissions, created_by, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: grant_read
-- Lets a principal read a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access) values ($1, $2, $3, $4, 'read')

-- name: list_keys
-- The tenant's API keys with their collections, newest first.
select k.id, k.name, k.lookup_id, k.permissions, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
  array(select c.slug from identity.collection_grant g join documents.collection c on c.tenant_id = g.tenant_id and c.id = g.collection_id
    where g.tenant_id = $1 and g.principal_id = k.id and g.access = 'read' order by c.slug) as collections
from identity.api_key k
where k.tenant_id = $1
order by k.id desc

-- name: revoke_key
-- Ends an API key; no row when there is none to end.
update identity.api_key set revoked_at = now() where tenant_id = $1 and id = $2 and revoked_at is null returning name
