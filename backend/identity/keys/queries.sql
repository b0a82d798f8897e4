-- name: collections_by_slug
-- Ids of collections that the caller may read, by slug.
select id, slug from documents.collection where tenant_id = $1 and slug = any ($2::text[])

-- name: add_key
-- A new API key.
insert into identity.api_key (tenant_id, id, name, permissions, created_by, expires_at, allowed_networks, requests_per_minute,
  requests_per_day, assertion_key)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: add_key_secret
-- A secret that opens an API key.
insert into identity.api_key_secret (tenant_id, id, key_id, lookup_id, digest) values ($1, $2, $3, $4, $5)

-- name: end_key_secrets
-- Lets the newest secret of a key live on for so many seconds, and ends older ones now.
update identity.api_key_secret s
set expires_at = least(s.expires_at, case when s.id = (select max(n.id::text)::uuid from identity.api_key_secret n
  where n.tenant_id = $1 and n.key_id = $2) then now() + make_interval(secs => $3) else now() end)
where s.tenant_id = $1 and s.key_id = $2 and s.expires_at > now()

-- name: rotated_key
-- A live API key that is about to get another secret.
select name, permissions, created_by, expires_at from identity.api_key
where tenant_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > now())
for update

-- name: grant_read
-- Lets a principal read a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access) values ($1, $2, $3, $4, 'read')

-- name: list_keys
-- The tenant's API keys with their collections and live secrets, newest first.
select k.id, k.name, k.permissions, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
  k.allowed_networks, k.requests_per_minute, k.requests_per_day, k.assertion_key is not null as signs_end_users,
  array(select c.slug from identity.collection_grant g join documents.collection c on c.tenant_id = g.tenant_id and c.id = g.collection_id
    where g.tenant_id = $1 and g.principal_id = k.id and g.access = 'read' order by c.slug) as collections,
  array(select s.lookup_id from identity.api_key_secret s
    where s.tenant_id = $1 and s.key_id = k.id and s.expires_at > now() order by s.id desc) as lookup_ids
from identity.api_key k
where k.tenant_id = $1
order by k.id desc

-- name: revoke_key
-- Ends an API key; no row when there is none to end.
update identity.api_key set revoked_at = now() where tenant_id = $1 and id = $2 and revoked_at is null returning name
