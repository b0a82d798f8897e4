-- name: collections_by_slug
-- Ids of collections that the caller may read, by slug.
select id, slug from documents.collection where tenant_id = $1 and slug = any ($2::text[])

-- name: add_key
-- A new API key.
insert into identity.api_key (tenant_id, id, name, permissions, created_by, expires_at, allowed_networks, requests_per_minute,
  requests_per_day, assertion_key, owner_id, purpose, tokens_per_day, tokens_per_month, cost_per_day_micros, cost_per_month_micros)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: add_key_secret
-- A secret that opens an API key.
insert into identity.api_key_secret (tenant_id, id, key_id, lookup_id, digest, made_by) values ($1, $2, $3, $4, $5, $6)

-- name: end_key_secrets
-- Lets the newest secret of a key live on for so many seconds, and ends older ones now.
update identity.api_key_secret s
set expires_at = least(s.expires_at, case when s.id = (select max(n.id::text)::uuid from identity.api_key_secret n
  where n.tenant_id = $1 and n.key_id = $2) then now() + make_interval(secs => $3) else now() end)
where s.tenant_id = $1 and s.key_id = $2 and s.expires_at > now()

-- name: rotated_key
-- A live API key that is about to get another secret.
select name, owner_id from identity.api_key
where tenant_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > now())
for update

-- name: grant_read
-- Lets a key read a collection, as its owner may.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access, granted_by) values ($1, $2, $3, $4, 'read', $5)

-- name: live_key
-- A key that has not ended, with what bounds it.
select name, purpose, owner_id, expires_at, allowed_networks, requests_per_minute, requests_per_day, tokens_per_day, tokens_per_month,
  cost_per_day_micros, cost_per_month_micros
from identity.api_key
where tenant_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > now())
for update

-- name: change_key
-- What bounds a key.
update identity.api_key set name = $3, purpose = $4, expires_at = $5, allowed_networks = $6, requests_per_minute = $7,
  requests_per_day = $8, tokens_per_day = $9, tokens_per_month = $10, cost_per_day_micros = $11, cost_per_month_micros = $12
where tenant_id = $1 and id = $2

-- name: hand_over_key
-- Gives a key another owner; false when the caller may not, or there is no such active user.
select identity.hand_over_key($1, $2)

-- name: list_keys
-- The tenant's API keys with their collections and live secrets, newest first.
select k.id, k.name, k.permissions, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
  k.allowed_networks, k.requests_per_minute, k.requests_per_day, k.assertion_key is not null as signs_end_users,
  k.owner_id as owner, k.purpose, k.tokens_per_day, k.tokens_per_month, k.cost_per_day_micros, k.cost_per_month_micros, k.suspended_at,
  k.handed_over_by, k.handed_over_at,
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
