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

-- name: add_history
-- Puts on record what versions now are.
insert into documents.version_history (tenant_id, id, collection_id, document_id, version_id, status, effective_from, effective_to)
select $1, n.id, v.collection_id, v.document_id, v.id, v.status, v.effective_from, v.effective_to
from unnest($2::uuid[], $3::uuid[]) as n (id, version_id)
join documents.version v on v.tenant_id = $1 and v.id = n.version_id

-- name: lock_documents
-- Waits until nobody else changes what these documents hold; in one order, so that nobody waits for each other.
select id from documents.document where tenant_id = $1 and id = any ($2::uuid[]) order by id for no key update

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

-- name: forget_at_sources
-- Forgets the names of documents at the sources that they came from, but not that no source brings them back.
select sources.forget($1, $2, $3, $4)

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
returning d.id, d.collection_id, d.doc_id, d.created_by

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
