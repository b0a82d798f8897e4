-- name: presented_tenant
-- The tenant whose slug somebody presents who signs in.
select id, status from tenancy.presented_tenant()

-- name: presented_user
-- The user whose name somebody presents who signs in to a tenant.
select id, status from identity."user" where tenant_id = $1 and username = $2

-- name: password_hash
-- The password hash of the user who signs in.
select hash from identity.password where tenant_id = $1 and user_id = $2

-- name: user_caller
-- The user that a context names as a caller: status, roles, and the collections granted to it or to one of its roles. Without a
-- context, the one to which the transaction is bound.
select * from identity.user_caller($1, $2)

-- name: user_principal
-- A user as a caller, apart from any session.
select t.slug as tenant_slug, t.status as tenant_status, u.username as name, u.status = 'active' as live,
  array(select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2 order by role) as roles,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'read' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))) as readable,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'write' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))) as writable
from identity."user" u cross join tenancy.own_tenant() t
where u.tenant_id = $1 and u.id = $2

-- name: presented_key
-- The API key that the secret presented in a context opens: whether it is live, what it may do and from where, and the
-- collections granted to it.
select * from identity.presented_key($1)

-- name: key_principal
-- An API key as a caller, apart from any secret.
select t.slug as tenant_slug, t.status as tenant_status, k.name, k.permissions, k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) as live,
  array(select g.collection_id from identity.collection_grant g
    where g.tenant_id = $1 and g.principal_id = $2 and g.access = 'read') as readable,
  array(select g.collection_id from identity.collection_grant g
    where g.tenant_id = $1 and g.principal_id = $2 and g.access = 'write') as writable
from identity.api_key k
cross join tenancy.own_tenant() t
where k.tenant_id = $1 and k.id = $2

-- name: note_key_use
-- Keeps the time at which the calling key was last used.
select identity.note_key_use()

-- name: count_requests
-- Counts one request of each subject in its running window of so many seconds, and says which limit is exceeded and until when.
-- Counts may be lost in a crash of the server: waiting for the disk would make every request of a tenant wait for the one before.
select l.subject, l.seconds, counted.retry_after
from (select set_config('synchronous_commit', 'off', true)) as unhurried
cross join unnest($1::text[], $2::integer[], $3::integer[]) as l (subject, seconds, most)
cross join lateral identity.count_request(l.subject, l.seconds) as counted
where counted.requests > l.most

-- name: forgive_sign_in
-- Takes a sign-in that succeeded out of the counts.
select identity.forgive_sign_in($1)

-- name: open_session
-- A new session of the caller.
insert into identity.session (tenant_id, id, user_id, expires_at) values ($1, $2, $3, now() + make_interval(days => $4))

-- name: add_refresh_token
-- The next refresh token of a session.
insert into identity.refresh_token (tenant_id, id, session_id, digest) values ($1, $2, $3, $4)

-- name: presented_refresh_token
-- The refresh token that is presented, with its session and user.
select tenant_id, id, session_id, user_id from identity.presented_refresh_token()

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

-- name: list_users
-- A page of the tenant's users with their roles, by id, which begins with the time of creation.
select u.id, u.username, u.display_name, u.status, u.created_at,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u where u.tenant_id = $1 and u.id > $2 order by u.id limit $3

-- name: get_user
-- One user with its roles.
select u.id, u.username, u.display_name, u.status, u.created_at,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u where u.tenant_id = $1 and u.id = $2

-- name: add_user
-- A new user.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)

-- name: add_password
-- The first password hash of a user.
insert into identity.password (tenant_id, user_id, hash) values ($1, $2, $3)

-- name: change_user
-- Name and status of a user.
update identity."user" set display_name = $3, status = $4 where tenant_id = $1 and id = $2

-- name: give_role
-- Gives a user a role.
insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, $3)

-- name: take_role
-- Takes a role away; no row when the caller may not.
delete from identity.user_role where tenant_id = $1 and user_id = $2 and role = $3 returning created_at

-- name: add_ended_role
-- Keeps on record from when until now a user had a role.
insert into identity.ended_role (tenant_id, id, user_id, role, created_at) values ($1, $2, $3, $4, $5)

-- name: readable_at
-- The collections that a principal could read at a moment: by its own grants, and by those of the roles that it had then.
with held as (
  select role from identity.user_role where tenant_id = $1 and user_id = $2 and created_at <= $3
  union
  select role from identity.ended_role where tenant_id = $1 and user_id = $2 and created_at <= $3 and ended_at > $3
), granted as (
  select collection_id, principal_id, role from identity.collection_grant
  where tenant_id = $1 and access = 'read' and created_at <= $3
  union all
  select collection_id, principal_id, role from identity.ended_grant
  where tenant_id = $1 and access = 'read' and created_at <= $3 and ended_at > $3
)
select distinct collection_id from granted where principal_id = $2 or role in (select role from held)

-- name: presented_issuer
-- The provider that the tenant trusts to which somebody signs in.
select id, issuer, client_id, client_secret, scopes, groups_claim, role_of_group, creates_users from identity.presented_issuer()

-- name: external_user
-- The user who is a subject of the tenant's provider.
select user_id from identity.external_identity where tenant_id = $1 and issuer_id = $2 and subject = $3

-- name: add_external_identity
-- Says which user a subject of the tenant's provider is.
insert into identity.external_identity (tenant_id, issuer_id, subject, user_id) values ($1, $2, $3, $4)
