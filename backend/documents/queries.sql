-- name: collections
-- Collections by slug, as far as the caller sees them.
select id, slug, language, approval_required from documents.collection where tenant_id = $1 and slug = any ($2::text[])

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

-- name: add_first_versions
-- Version 1 of documents that have none; open for chunks from the start where no approval is required.
insert into documents.version (tenant_id, id, collection_id, document_id, number, status, effective_from, content_sha256, created_by)
select $1, n.id, n.collection_id, n.document_id, 1, n.status, case when n.status = 'approved' then now() else 'infinity' end,
  sha256(''), $6
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) as n (id, collection_id, document_id, status)
where not exists (select from documents.version v where v.tenant_id = $1 and v.document_id = n.document_id)
order by n.document_id
on conflict (tenant_id, document_id, number) do nothing

-- name: lock_latest_versions
-- The latest version of each document, locked in one order, so that concurrent writers queue and never deadlock.
select id, document_id, collection_id, number, status, effective_from, effective_to
from documents.version v
where tenant_id = $1 and document_id = any ($2::uuid[])
  and number = (select max(number) from documents.version l where l.tenant_id = $1 and l.document_id = v.document_id)
order by document_id
for update

-- name: chunks_of_versions
-- What versions hold already.
select version_id, id, ordinal, sha256 from documents.chunk where tenant_id = $1 and version_id = any ($2::uuid[])
order by version_id, ordinal

-- name: add_chunks
-- Chunks with both vectors.
insert into documents.chunk (tenant_id, id, collection_id, document_id, version_id, ordinal, effective_from, effective_to,
  source_type, text, sha256, metadata, embedding_model, dense, sparse)
select $1, n.id, v.collection_id, v.document_id, v.id, n.ordinal, v.effective_from, v.effective_to,
  n.source_type, n.text, n.sha256, n.metadata, $9, n.dense, n.sparse
from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::bytea[], $8::jsonb[], $10::halfvec[], $11::sparsevec[])
  as n (id, version_id, ordinal, source_type, text, sha256, metadata, dense, sparse)
join documents.version v on v.tenant_id = $1 and v.id = n.version_id

-- name: set_content_hash
-- The hash of everything that a version holds.
update documents.version set content_sha256 = $3 where tenant_id = $1 and id = $2

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
