-- name: user_principal
-- A user as a caller, apart from any session.
select t.slug as tenant_slug, t.status as tenant_status, u.username as name, u.status = 'active' as live,
  array(select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2 order by role) as roles,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'read' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))
    and (u.credentials_of is null or g.collection_id = any ((select identity.read_by_all_behind_it())::uuid[]))) as readable,
  array(select distinct g.collection_id from identity.collection_grant g where g.tenant_id = $1 and g.access = 'write' and (g.principal_id = $2
    or g.role in (select role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2))) as writable
from identity."user" u cross join tenancy.own_tenant() t
where u.tenant_id = $1 and u.id = $2

-- name: user_caller
-- The user that a context names as a caller: status, roles, and the collections granted to it or to one of its roles. Without a
-- context, the one to which the transaction is bound.
select {user} from identity.user_caller($1, $2)

-- name: presented_key
-- The API key that the secret presented in a context opens: whether it is live, what it may do and from where, and the
-- collections granted to it.
select {key} from identity.presented_key($1)

-- name: presented_scim_bearer
-- The tenant's provider whose bearer is presented in a context.
select {provider} from identity.presented_scim_bearer($1)

-- name: note_bearer_use
-- Keeps the time at which a bearer of the calling provider was last used.
select identity.note_bearer_use($1)

-- name: own_key
-- The calling API key as a caller, apart from any secret.
select {key} from identity.own_key()

-- name: own_source
-- The source that runs as a caller.
select {source} from sources.own_source()

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
