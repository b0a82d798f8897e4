-- name: list_collections
-- The collections that the caller sees; {collection} is replaced by the columns of CollectionRow.
select {collection}
from documents.collection where tenant_id = $1 order by slug

-- name: collection
-- One collection, by its id or its name, as far as the caller sees it; {collection} is replaced by the columns of CollectionRow.
select {collection}
from documents.collection where tenant_id = $1 and ($2::uuid is null or id = $2) and ($3::text is null or slug = $3)

-- name: add_collection
-- A new collection.
insert into documents.collection (tenant_id, id, slug, name, language, approval_required, approvers, metadata_schema, refused_warnings,
  personal_data)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: change_collection
-- What can change of a collection.
update documents.collection set name = $3, approval_required = $4, approvers = $5, metadata_schema = $6, refused_warnings = $7,
  personal_data = $8
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

-- name: contents
-- What collections hold that the caller sees: documents that have a version, bytes of files, and uploads of its own that are no version.
select c.id,
  (select count(distinct v.document_id) from documents.version v where v.tenant_id = $1 and v.collection_id = c.id) as documents,
  (select coalesce(sum(f.size), 0)::bigint from documents.file f
    where f.tenant_id = $1 and f.collection_id = c.id and f.version_id is not null) as bytes,
  u.in_progress, u.failed, u.cancelled
from unnest($2::uuid[]) as c (id)
cross join lateral (
  select count(*) filter (where j.status in ('queued', 'running')) as in_progress, count(*) filter (where j.status = 'failed') as failed,
    count(*) filter (where j.status = 'cancelled') as cancelled
  from documents.upload u join jobs.job j on j.tenant_id = $1 and j.id = u.job_id
  where u.tenant_id = $1 and u.collection_id = c.id
) u

-- name: version_sizes
-- Bytes of the files that versions of documents were made of.
select f.document_id, v.number, sum(f.size)::bigint as bytes
from documents.file f join documents.version v on v.tenant_id = $1 and v.id = f.version_id
where f.tenant_id = $1 and f.document_id = any ($2::uuid[])
group by f.document_id, v.number
