-- name: moment
-- Now, after the waits of this transaction: it began before, maybe before what it waited for.
select statement_timestamp()

-- name: document
-- A document by id, with its collection. Without a title of its own it has that of its latest version.
select d.id, d.doc_id, d.collection_id, c.slug as collection, d.source_type, coalesce(d.title, v.title) as title, d.created_at
from documents.document d join documents.collection c on c.tenant_id = $1 and c.id = d.collection_id
left join lateral (
  select metadata ->> 'title' as title from documents.version where tenant_id = $1 and document_id = d.id order by number desc limit 1
) v on true
where d.tenant_id = $1 and d.id = $2

-- name: list_documents
-- A page of documents by id, which begins with the time of creation; the version in force says since when, until when, and whose.
-- {behind} and {direction} are replaced by `>` and `asc`, or `<` and `desc`.
select d.id, d.doc_id, c.slug as collection, d.source_type, coalesce(d.title, v.title) as title, d.created_at, v.number as latest_version, v.status,
  f.number as version_in_force, f.effective_from, nullif(f.effective_to, 'infinity') as effective_to, coalesce(f.owner, v.owner) as owner
from documents.document d join documents.collection c on c.tenant_id = $1 and c.id = d.collection_id
left join lateral (
  select number, metadata ->> 'title' as title, metadata ->> 'owner' as owner,
    case when status in ('superseded', 'retired') and effective_to > statement_timestamp() then 'approved' else status end as status
  from documents.version where tenant_id = $1 and document_id = d.id order by number desc limit 1
) v on true
left join lateral (
  select number, effective_from, effective_to, metadata ->> 'owner' as owner from documents.version
  where tenant_id = $1 and document_id = d.id and effective_from <= statement_timestamp() and effective_to > statement_timestamp()
) f on true
where d.tenant_id = $1 and d.id {behind} $2 and ($3::text is null or c.slug = $3) and ($4::text is null or d.doc_id = $4)
  and ($6::text is null or position(lower($6) in lower(concat_ws(' ', d.doc_id, d.title, v.title))) > 0)
  and ($7::timestamptz is null or f.effective_to < $7) and (not $8 or v.number is not null)
order by d.id {direction} limit $5

-- name: versions
-- All versions of a document that the caller may see, newest first. What has an end in the future is still what it was.
select id, collection_id, number, status, takes_chunks, planned_from, planned_to,
  nullif(effective_from, 'infinity') as effective_from, nullif(effective_to, 'infinity') as effective_to,
  effective_from <= statement_timestamp() and effective_to > statement_timestamp() as in_force,
  case when status in ('superseded', 'retired') and effective_to > statement_timestamp() then 'approved' else status end as shown_status,
  content_sha256, metadata as described, reason, author_id, created_by, created_at, approvals_needed, warnings, personal_data
from documents.version where tenant_id = $1 and document_id = $2
order by number desc

-- name: decisions
-- What was decided on versions, in order.
select a.version_id, a.approver_id, documents.decider_name(a.approver_id) as approver_name, a.decision, a.comment, a.content_sha256,
  a.decided_at
from documents.approval a
where a.tenant_id = $1 and a.version_id = any ($2::uuid[]) order by a.decided_at, a.approver_id

-- name: version_chunks
-- The chunks of a version in order, as far as the caller may see them; {place} is replaced by the columns of ChunkSpan.
select id, text, {place}
from documents.chunk where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2
order by ordinal

-- name: add_version
-- A version of known content. The author is a person: behind a key, its owner.
insert into documents.version (tenant_id, id, collection_id, document_id, number, status, approvals_needed, planned_from, planned_to,
  effective_from, effective_to, content_sha256, metadata, author_id, created_by, warnings, personal_data)
select $1, $2, c.id, $4, $5, $6, case when c.approval_required then c.approvers else 0 end, $7, $8,
  coalesce($9, 'infinity'::timestamptz), coalesce($10, 'infinity'::timestamptz), $11, $12,
  identity.acting_user(), $13, $14, $15
from documents.collection c where c.tenant_id = $1 and c.id = $3

-- name: asks_for_approval
-- Whether a collection asks for approval.
select approval_required from documents.collection where tenant_id = $1 and id = $2

-- name: close_version
-- Ends the adding of chunks.
update documents.version set takes_chunks = false, status = $3, planned_from = $4, planned_to = $5 where tenant_id = $1 and id = $2

-- name: stored_content_hash
-- The hash of what a version really holds, from the texts themselves; null when it holds nothing.
select sha256(string_agg(sha256(convert_to(text, 'UTF8')), ''::bytea order by ordinal))
from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2

-- name: has_decided
-- Whether somebody has decided on a version; its document is locked.
select exists (select from documents.approval where tenant_id = $1 and version_id = $2 and approver_id = $3)

-- name: add_approval
-- A reviewer's decision on the version's author and content as they are.
insert into documents.approval (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision, comment)
select $1, v.id, $3, v.collection_id, v.author_id, v.content_sha256, $4, $5 from documents.version v where v.tenant_id = $1 and v.id = $2

-- name: set_validity
-- Changes what a version is and when it is in force.
update documents.version set status = $3, effective_from = $4, effective_to = coalesce($5, 'infinity'::timestamptz)
where tenant_id = $1 and id = $2

-- name: put_off_version
-- Lets a version in review begin later than proposed.
update documents.version set planned_from = $3 where tenant_id = $1 and id = $2

-- name: reject_version
-- Ends the review of a version.
update documents.version set status = 'rejected', reason = $3 where tenant_id = $1 and id = $2

-- name: retire_version
-- Gives an approved version an end of its own.
update documents.version set status = 'retired', planned_to = $3, reason = $4 where tenant_id = $1 and id = $2

-- name: count_approvals
-- How many approved a version.
select count(*) from documents.approval where tenant_id = $1 and version_id = $2 and decision = 'approved'

-- name: version_status
-- What a version is now.
select status from documents.version where tenant_id = $1 and id = $2

-- name: chunks_of_version
-- What a version holds, in its order.
select c.id, c.sha256 from documents.version v
join documents.chunk c on c.tenant_id = $1 and c.version_id = v.id
  and c.placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])
where v.tenant_id = $1 and v.document_id = $2 and v.number = $3 order by c.ordinal

-- name: list_versions
-- Versions across documents that the caller may see, newest first.
select v.id, v.collection_id, v.takes_chunks, v.document_id, d.doc_id, coalesce(v.metadata ->> 'title', d.title) as title, c.slug as collection, v.number, v.status,
  v.planned_from, v.planned_to, nullif(v.effective_from, 'infinity') as effective_from, nullif(v.effective_to, 'infinity') as effective_to,
  v.effective_from <= statement_timestamp() and v.effective_to > statement_timestamp() as in_force, v.status as shown_status,
  v.content_sha256, v.metadata as described, v.reason, v.author_id, v.created_by, v.created_at, v.approvals_needed, v.warnings, v.personal_data,
  (select count(*) from documents.approval a where a.tenant_id = $1 and a.version_id = v.id and a.decision = 'approved') as given,
  exists (select from documents.approval a where a.tenant_id = $1 and a.version_id = v.id and a.approver_id = $2) as decided_by_me
from documents.version v
join documents.document d on d.tenant_id = $1 and d.id = v.document_id
join documents.collection c on c.tenant_id = $1 and c.id = v.collection_id
where v.tenant_id = $1 and ($3::text is null or v.status = $3) and v.id < $4
order by v.id desc limit $5

-- name: count_versions
-- How many versions the caller sees in each state.
select status, count(*)::int as versions from documents.version where tenant_id = $1 group by status
