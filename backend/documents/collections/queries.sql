-- name: list_collections
-- The collections that the caller sees.
select id, slug, name, language, approval_required, approvers, metadata_schema, refused_warnings, created_at
from documents.collection where tenant_id = $1 order by slug

-- name: add_collection
-- A new collection.
insert into documents.collection (tenant_id, id, slug, name, language, approval_required, approvers, metadata_schema, refused_warnings)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: change_collection
-- What can change of a collection.
update documents.collection set name = $3, approval_required = $4, approvers = $5, metadata_schema = $6, refused_warnings = $7
where tenant_id = $1 and id = $2

-- name: principal
-- A user or key, as far as the caller may see it, and whether the caller controls it.
select p.kind, identity.is_controlled($2) as controlled from (
  select 'user' as kind from identity."user" where tenant_id = $1 and id = $2 and status <> 'deleted'
  union all
  select 'key' from identity.api_key where tenant_id = $1 and id = $2
) p

-- name: list_readers
-- Every user and key that reads or writes a collection now.
select id, kind, name, reads, writes, through from documents.readers($1)

-- name: list_grants
-- Who may read or write a collection; the name of a principal as far as the caller may see it.
select g.id, g.role, g.principal_id, coalesce(u.username, k.name) as principal_name, g.access, g.created_at
from identity.collection_grant g
left join identity."user" u on u.tenant_id = $1 and u.id = g.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = g.principal_id
where g.tenant_id = $1 and g.collection_id = $2 order by g.id

-- name: add_grant
-- Lets a principal or a role read or write a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, role, access, granted_by, beyond_owner)
values ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: end_grant
-- Ends a grant; no row when there is none to end.
delete from identity.collection_grant where tenant_id = $1 and id = $2 and collection_id = $3
returning principal_id, role, access, created_at

-- name: add_ended_grant
-- Keeps on record from when until now a grant stood.
insert into identity.ended_grant (tenant_id, id, collection_id, principal_id, role, access, created_at) values ($1, $2, $3, $4, $5, $6, $7)
