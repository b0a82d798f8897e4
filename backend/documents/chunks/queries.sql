-- name: collections
-- Collections by slug, as far as the caller sees them.
select id, slug, language, approval_required, approvers, metadata_schema, refused_warnings, personal_data
from documents.collection where tenant_id = $1 and slug = any ($2::text[])

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
  sha256(''), identity.acting_user(), $5
from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as n (id, collection_id, document_id)
join documents.collection c on c.tenant_id = $1 and c.id = n.collection_id
left join lateral (select v.number, v.status, v.effective_to from documents.version v
  where v.tenant_id = $1 and v.document_id = n.document_id order by v.number desc limit 1) latest on true
where latest.number is null or latest.status = 'rejected'
  or latest.status = 'retired' and latest.effective_to <= statement_timestamp()

-- name: latest_versions
-- The latest version of each document.
select id, document_id, number, status, takes_chunks, personal_data
from documents.version v
where tenant_id = $1 and document_id = any ($2::uuid[])
  and number = (select max(number) from documents.version l where l.tenant_id = $1 and l.document_id = v.document_id)

-- name: chunks_of_versions
-- What versions hold already.
select version_id, id, ordinal, sha256 from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and version_id = any ($2::uuid[])
order by version_id, ordinal

-- name: add_chunks
-- Chunks with both vectors, in the tenant's own partition if it has one; {place} is replaced by the columns of ChunkSpan.
insert into documents.chunk (tenant_id, placement, id, collection_id, document_id, version_id, ordinal, effective_from, effective_to,
  source_type, text, sha256, metadata, embedding_model, dense, sparse, {place})
select $1, coalesce((select p.tenant_id from retrieval.placement p where p.tenant_id = $1 and p.state <> 'demoting'),
    '00000000-0000-0000-0000-000000000000'),
  n.id, v.collection_id, v.document_id, v.id, n.ordinal, v.effective_from, v.effective_to,
  n.source_type, n.text, n.sha256, n.metadata, $9, n.dense, n.sparse, {place}
from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::bytea[], $8::jsonb[], $10::halfvec[], $11::sparsevec[],
    $12::jsonb[]) as n (id, version_id, ordinal, source_type, text, sha256, metadata, dense, sparse, place)
join documents.version v on v.tenant_id = $1 and v.id = n.version_id
cross join lateral jsonb_populate_record(null::documents.chunk, n.place) as stands

-- name: set_content_hashes
-- The hash of everything that each version holds, and of personal data how many values of each kind.
update documents.version v set content_sha256 = n.content, personal_data = n.held
from unnest($2::uuid[], $3::bytea[], $4::jsonb[]) as n (id, content, held)
where v.tenant_id = $1 and v.id = n.id

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

-- name: set_chunk_validity
-- Repeats the validity of a version on some of its chunks.
update documents.chunk c set effective_from = v.effective_from, effective_to = v.effective_to
from documents.version v
where v.tenant_id = $1 and v.id = $2 and c.tenant_id = $1
  and c.placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and c.version_id = $2
  and c.ordinal >= $3 and c.ordinal < $4
