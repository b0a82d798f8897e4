-- name: collections
-- Collections by slug, as far as the caller sees them.
select id, slug, language, approval_required, approvers, metadata_schema from documents.collection where tenant_id = $1 and slug = any ($2::text[])

-- name: add_documents
-- Documents that are not there yet.
insert into documents.document (tenant_id, id, collection_id, doc_id, source_type, title, created_by)
select $1, n.id, n.collection_id, n.doc_id, n.source_type, n.title, $7
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) as n (id, collection_id, doc_id, source_type, title)
order by n.collection_id, n.doc_id
on conflict (tenant_id, collection_id, doc_id) do nothing

-- name: documents
-- Ids of documents by collection and doc_id.
select d.id, d.collection_id, d.doc_id
from documents.document d
join unnest($2::uuid[], $3::text[]) as n (collection_id, doc_id) on n.collection_id = d.collection_id and n.doc_id = d.doc_id
where d.tenant_id = $1

-- name: add_open_versions
-- A version that takes chunks for documents whose latest one is no more; in force from now where no approval is required.
-- Now as in `moment`.
-- The author is a person: behind a key, its creator.
insert into documents.version (tenant_id, id, collection_id, document_id, number, status, approvals_needed, effective_from,
  content_sha256, author_id, created_by)
select $1, n.id, n.collection_id, n.document_id, coalesce(latest.number, 0) + 1,
  case when c.approval_required then 'draft' else 'approved' end,
  case when c.approval_required then c.approvers else 0 end,
  case when c.approval_required then 'infinity' else statement_timestamp() end,
  sha256(''), coalesce((select k.created_by from identity.api_key k where k.tenant_id = $1 and k.id = $5), $5), $5
from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as n (id, collection_id, document_id)
join documents.collection c on c.tenant_id = $1 and c.id = n.collection_id
left join lateral (select v.number, v.status, v.effective_to from documents.version v
  where v.tenant_id = $1 and v.document_id = n.document_id order by v.number desc limit 1) latest on true
where latest.number is null or latest.status = 'rejected'
  or latest.status = 'retired' and latest.effective_to <= statement_timestamp()

-- name: add_history
-- Puts on record what versions now are.
insert into documents.version_history (tenant_id, id, collection_id, document_id, version_id, status, effective_from, effective_to)
select $1, n.id, v.collection_id, v.document_id, v.id, v.status, v.effective_from, v.effective_to
from unnest($2::uuid[], $3::uuid[]) as n (id, version_id)
join documents.version v on v.tenant_id = $1 and v.id = n.version_id

-- name: latest_versions
-- The latest version of each document.
select id, document_id, number, status, takes_chunks
from documents.version v
where tenant_id = $1 and document_id = any ($2::uuid[])
  and number = (select max(number) from documents.version l where l.tenant_id = $1 and l.document_id = v.document_id)

-- name: chunks_of_versions
-- What versions hold already.
select version_id, id, ordinal, sha256 from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = any ($2::uuid[])
order by version_id, ordinal

-- name: add_chunks
-- Chunks with both vectors, in the tenant's own partition if it has one.
insert into documents.chunk (tenant_id, placement, id, collection_id, document_id, version_id, ordinal, effective_from, effective_to,
  source_type, text, sha256, metadata, embedding_model, dense, sparse, page_start, page_end, sheet, char_start,
  char_end, heading_path)
select $1, coalesce((select p.tenant_id from retrieval.placement p where p.tenant_id = $1 and p.state <> 'demoting'),
    '00000000-0000-0000-0000-000000000000'),
  n.id, v.collection_id, v.document_id, v.id, n.ordinal, v.effective_from, v.effective_to,
  n.source_type, n.text, n.sha256, n.metadata, $9, n.dense, n.sparse, n.page_start, n.page_end, n.sheet, n.char_start,
  n.char_end,
  case when n.heading_path is not null then array(select jsonb_array_elements_text(n.heading_path -> 'path')) end
from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::bytea[], $8::jsonb[], $10::halfvec[], $11::sparsevec[],
    $12::int[], $13::int[], $14::text[], $15::int[], $16::int[], $17::jsonb[])
  as n (id, version_id, ordinal, source_type, text, sha256, metadata, dense, sparse, page_start, page_end, sheet, char_start,
    char_end, heading_path)
join documents.version v on v.tenant_id = $1 and v.id = n.version_id

-- name: set_content_hash
-- The hash of everything that a version holds.
update documents.version set content_sha256 = $3 where tenant_id = $1 and id = $2

-- name: sparse_vectors
-- The terms of some of a version's chunks.
select collection_id, sparse from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2
  and ordinal >= $3 and ordinal < $4

-- name: end_of_version
-- One more than the last ordinal of a version's chunks.
select coalesce(max(ordinal) + 1, 0) from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2

-- name: count_terms
-- Adds to the numbers of chunks that contain each term; in one order, so that concurrent writers never deadlock.
insert into retrieval.term (tenant_id, collection_id, dimension, chunks)
select $1, n.collection_id, n.dimension, n.chunks
from unnest($2::uuid[], $3::int[], $4::bigint[]) as n (collection_id, dimension, chunks)
order by n.collection_id, n.dimension
on conflict (tenant_id, collection_id, dimension) do update set chunks = term.chunks + excluded.chunks

-- name: count_chunks
-- Adds to the number of chunks of a collection.
insert into retrieval.collection_size (tenant_id, collection_id, chunks)
select $1, n.collection_id, n.chunks from unnest($2::uuid[], $3::bigint[]) as n (collection_id, chunks) order by n.collection_id
on conflict (tenant_id, collection_id) do update set chunks = collection_size.chunks + excluded.chunks

-- name: lock_documents
-- Waits until nobody else changes what these documents hold; in one order, so that nobody waits for each other.
select id from documents.document where tenant_id = $1 and id = any ($2::uuid[]) order by id for no key update

-- name: moment
-- Now, after the waits of this transaction: it began before, maybe before what it waited for.
select statement_timestamp()

-- name: document
-- A document by id, with its collection.
select d.id, d.doc_id, d.collection_id, c.slug as collection, d.source_type, d.title, d.created_at
from documents.document d join documents.collection c on c.tenant_id = $1 and c.id = d.collection_id
where d.tenant_id = $1 and d.id = $2

-- name: list_documents
-- A page of documents by id, which begins with the time of creation.
select d.id, d.doc_id, c.slug as collection, d.source_type, d.title, d.created_at
from documents.document d join documents.collection c on c.tenant_id = $1 and c.id = d.collection_id
where d.tenant_id = $1 and d.id > $2 and ($3::text is null or c.slug = $3) and ($4::text is null or d.doc_id = $4)
order by d.id limit $5

-- name: versions
-- All versions of a document that the caller may see, newest first. What has an end in the future is still what it was.
select id, collection_id, number, status, takes_chunks, planned_from, planned_to,
  nullif(effective_from, 'infinity') as effective_from, nullif(effective_to, 'infinity') as effective_to,
  effective_from <= statement_timestamp() and effective_to > statement_timestamp() as in_force,
  case when status in ('superseded', 'retired') and effective_to > statement_timestamp() then 'approved' else status end as shown_status,
  content_sha256, metadata, reason, author_id, created_by, created_at, approvals_needed
from documents.version where tenant_id = $1 and document_id = $2
order by number desc

-- name: decisions
-- What was decided on versions, in order.
select version_id, approver_id, decision, comment, content_sha256, decided_at
from documents.approval where tenant_id = $1 and version_id = any ($2::uuid[]) order by decided_at, approver_id

-- name: version_chunks
-- The chunks of a version in order, as far as the caller may see them.
select id, text, page_start, page_end, sheet, char_start, char_end, heading_path
from documents.chunk where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2
order by ordinal

-- name: add_version
-- A version of known content. The author is a person: behind a key, its creator.
insert into documents.version (tenant_id, id, collection_id, document_id, number, status, approvals_needed, planned_from, planned_to,
  effective_from, effective_to, content_sha256, metadata, author_id, created_by)
select $1, $2, c.id, $4, $5, $6, case when c.approval_required then c.approvers else 0 end, $7, $8,
  coalesce($9, 'infinity'::timestamptz), coalesce($10, 'infinity'::timestamptz), $11, $12,
  coalesce((select k.created_by from identity.api_key k where k.tenant_id = $1 and k.id = $13), $13), $13
from documents.collection c where c.tenant_id = $1 and c.id = $3

-- name: close_version
-- Ends the adding of chunks.
update documents.version set takes_chunks = false, status = $3, planned_from = $4, planned_to = $5 where tenant_id = $1 and id = $2

-- name: stored_content_hash
-- The hash of what a version really holds, from the texts themselves; null when it holds nothing.
select sha256(string_agg(sha256(convert_to(text, 'UTF8')), ''::bytea order by ordinal))
from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = $2

-- name: add_approval
-- A reviewer's decision on the version's author and content as they are.
insert into documents.approval (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision, comment)
select $1, v.id, $3, v.collection_id, v.author_id, v.content_sha256, $4, $5 from documents.version v where v.tenant_id = $1 and v.id = $2

-- name: set_validity
-- Changes what a version is and when it is in force.
update documents.version set status = $3, effective_from = $4, effective_to = coalesce($5, 'infinity'::timestamptz)
where tenant_id = $1 and id = $2

-- name: set_chunk_validity
-- Repeats the validity of a version on some of its chunks.
update documents.chunk c set effective_from = v.effective_from, effective_to = v.effective_to
from documents.version v
where v.tenant_id = $1 and v.id = $2 and c.tenant_id = $1
  and c.placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and c.version_id = $2
  and c.ordinal >= $3 and c.ordinal < $4

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

-- name: list_collections
-- The collections that the caller sees.
select id, slug, name, language, approval_required, approvers, metadata_schema, created_at
from documents.collection where tenant_id = $1 order by slug

-- name: add_collection
-- A new collection.
insert into documents.collection (tenant_id, id, slug, name, language, approval_required, approvers, metadata_schema)
values ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: change_collection
-- What can change of a collection.
update documents.collection set name = $3, approval_required = $4, approvers = $5, metadata_schema = $6 where tenant_id = $1 and id = $2

-- name: is_principal
-- Whether there is such a user or key, as far as the caller may see them.
select exists (select from identity."user" where tenant_id = $1 and id = $2)
  or exists (select from identity.api_key where tenant_id = $1 and id = $2)

-- name: list_grants
-- Who may read or write a collection; the name of a principal as far as the caller may see it.
select g.id, g.role, g.principal_id, coalesce(u.username, k.name) as principal_name, g.access, g.created_at
from identity.collection_grant g
left join identity."user" u on u.tenant_id = $1 and u.id = g.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = g.principal_id
where g.tenant_id = $1 and g.collection_id = $2 order by g.id

-- name: add_grant
-- Lets a principal or a role read or write a collection.
insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, role, access) values ($1, $2, $3, $4, $5, $6)

-- name: end_grant
-- Ends a grant; no row when there is none to end.
delete from identity.collection_grant where tenant_id = $1 and id = $2 and collection_id = $3
returning principal_id, role, access, created_at

-- name: add_ended_grant
-- Keeps on record from when until now a grant stood.
insert into identity.ended_grant (tenant_id, id, collection_id, principal_id, role, access, created_at) values ($1, $2, $3, $4, $5, $6, $7)

-- name: validities
-- Status and validity of versions, by document and number.
select v.document_id, v.number, v.status, v.effective_from, v.effective_to
from documents.version v
join unnest($2::uuid[], $3::int[]) as n (document_id, number) on n.document_id = v.document_id and n.number = v.number
where v.tenant_id = $1

-- name: affected_answers
-- Answers since a moment that cited one of these chunks, newest first.
select e.id as event_id, e.occurred_at as time, e.principal_id, coalesce(u.username, k.name) as principal_name, e.request_id
from audit.event_document d
join audit.event e on e.tenant_id = $1 and e.id = d.event_id
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where d.tenant_id = $1 and d.doc_id = $2 and d.event_id >= $3 and e.id >= $3 and e.action = 'answer:returned'
  and e.envelope::jsonb #> '{answer,citations}' ?| $4::text[]
order by e.id desc limit $5

-- name: erase_chunks_of_document
-- Deletes the chunks of a document; says which of their terms were counted.
delete from documents.chunk where tenant_id = $1 and document_id = $2
returning document_id, version_id, collection_id, sparse, effective_from < 'infinity' as was_counted

-- name: documents_of_subject
-- Documents with a chunk whose metadata names a data subject.
select distinct document_id from documents.chunk where tenant_id = $1 and metadata ->> 'data_subject' = $2

-- name: erase_chunks_of_subject
-- Deletes the chunks of some documents whose metadata names a data subject.
delete from documents.chunk where tenant_id = $1 and metadata ->> 'data_subject' = $2 and document_id = any ($3::uuid[])
returning document_id, version_id, collection_id, sparse, effective_from < 'infinity' as was_counted

-- name: documents_by_id
-- Documents about to be deleted.
select id, doc_id from documents.document where tenant_id = $1 and id = any ($2::uuid[]) order by id

-- name: emptied_versions
-- Versions of these documents that hold no chunk any more.
select v.id from documents.version v where v.tenant_id = $1 and v.document_id = any ($2::uuid[])
  and not exists (select from documents.chunk c where c.tenant_id = $1 and c.version_id = v.id)

-- name: erase_files
-- Deletes the files of these versions, and those of these documents that became no version.
delete from documents.file where tenant_id = $1 and document_id = any ($2::uuid[]) and (version_id is null or version_id = any ($3::uuid[]))
returning id

-- name: erase_approvals
-- Deletes the decisions on versions.
delete from documents.approval where tenant_id = $1 and version_id = any ($2::uuid[])

-- name: erase_history
-- Deletes what was known about versions.
delete from documents.version_history where tenant_id = $1 and version_id = any ($2::uuid[])

-- name: erase_versions
-- Deletes versions.
delete from documents.version where tenant_id = $1 and id = any ($2::uuid[])

-- name: erase_documents
-- Deletes those of these documents that have no version any more.
delete from documents.document d where d.tenant_id = $1 and d.id = any ($2::uuid[])
  and not exists (select from documents.version v where v.tenant_id = $1 and v.document_id = d.id)
returning d.id

-- name: uncount_terms
-- Takes chunks out of the numbers of those that contain each term; locked in the order in which they are counted.
with locked as materialized (
  select t.collection_id, t.dimension, n.chunks
  from retrieval.term t
  join unnest($2::uuid[], $3::int[], $4::bigint[]) as n (collection_id, dimension, chunks)
    on n.collection_id = t.collection_id and n.dimension = t.dimension
  where t.tenant_id = $1 order by t.collection_id, t.dimension for update of t
)
update retrieval.term t set chunks = t.chunks - l.chunks
from locked l where t.tenant_id = $1 and t.collection_id = l.collection_id and t.dimension = l.dimension

-- name: uncount_chunks
-- Takes chunks out of the number of those in a collection; locked in the order in which they are counted.
with locked as materialized (
  select s.collection_id, n.chunks
  from retrieval.collection_size s
  join unnest($2::uuid[], $3::bigint[]) as n (collection_id, chunks) on n.collection_id = s.collection_id
  where s.tenant_id = $1 order by s.collection_id for update of s
)
update retrieval.collection_size s set chunks = s.chunks - l.chunks
from locked l where s.tenant_id = $1 and s.collection_id = l.collection_id

-- name: forget_terms
-- Forgets terms that no chunk contains any more: a hash can be guessed.
delete from retrieval.term where tenant_id = $1 and chunks = 0

-- name: document_files
-- The files of a document by its name, newest first, with the version that was made of each and its job as far as they are seen.
select f.id, f.document_id, d.doc_id, f.filename, f.media_type, f.size, f.sha256, f.submitted, f.job_id, j.status as job_status,
  v.number as document_version, v.status as version_status, f.created_at,
  v.number = (select max(l.number) from documents.version l where l.tenant_id = $1 and l.document_id = f.document_id) as latest
from documents.file f
join documents.document d on d.tenant_id = $1 and d.id = f.document_id
join documents.collection c on c.tenant_id = $1 and c.id = f.collection_id
left join documents.version v on v.tenant_id = $1 and v.id = f.version_id
left join jobs.job j on j.tenant_id = $1 and j.id = f.job_id
where f.tenant_id = $1 and c.slug = $2 and d.doc_id = $3
order by f.id desc limit $4

-- name: add_file
-- A file that was uploaded to a document.
insert into documents.file (tenant_id, id, collection_id, document_id, job_id, filename, media_type, size, sha256, submitted, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: file
-- A file with what was submitted with it.
select f.id, f.document_id, f.version_id, d.doc_id, d.source_type, c.slug as collection, f.filename, f.media_type, f.size, f.sha256,
  f.submitted
from documents.file f
join documents.document d on d.tenant_id = $1 and d.id = f.document_id
join documents.collection c on c.tenant_id = $1 and c.id = f.collection_id
where f.tenant_id = $1 and f.id = $2

-- name: file_of_version
-- The file that a version was made of.
select id, filename, media_type, size, sha256, page_count from documents.file where tenant_id = $1 and version_id = $2

-- name: tie_file
-- Says which version was made of a file, and of how many pages it is.
update documents.file f set version_id = v.id, page_count = $5
from documents.version v
where f.tenant_id = $1 and f.id = $2 and v.tenant_id = $1 and v.document_id = $3 and v.number = $4

-- name: withdraw_file
-- Takes back a file that became no version.
delete from documents.file where tenant_id = $1 and id = $2 and version_id is null

-- name: document_of_upload
-- The document of a job's file that is no version's.
select document_id from documents.file where tenant_id = $1 and job_id = $2 and version_id is null

-- name: withdraw_upload
-- Takes back the file of a job that made no version.
delete from documents.file where tenant_id = $1 and job_id = $2 and version_id is null returning id, sha256

-- name: withdrawn_document
-- The name of a document whose upload is taken back.
select doc_id from documents.document where tenant_id = $1 and id = $2

-- name: withdraw_document
-- Deletes a document that nothing has become of.
delete from documents.document where tenant_id = $1 and id = $2
