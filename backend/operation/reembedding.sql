-- name: outdated
-- How many chunks of a tenant were embedded by another model; with $3, all.
select count(*) from documents.chunk where tenant_id = $1 and (embedding_model <> $2 or $3)

-- name: next_outdated
-- Some chunks behind $4 that were embedded by another model; with $5, by whichever.
select c.id, c.version_id, c.text, coalesce(c.metadata ->> 'title', d.title, '') as title, c.heading_path,
  k.personal_data <> 'tell' as masked
from documents.chunk c join documents.document d on d.tenant_id = c.tenant_id and d.id = c.document_id
join documents.collection k on k.tenant_id = c.tenant_id and k.id = c.collection_id
where c.tenant_id = $1 and (c.embedding_model <> $2 or $5) and c.id > $4 order by c.id limit $3

-- name: replace_vectors
-- Replaces the vectors of chunks; those of a chunk that is gone, or done meanwhile unless $5, are dropped.
update documents.chunk c set dense = n.dense, embedding_model = $2
from unnest($3::uuid[], $4::halfvec[]) as n (id, dense)
where c.tenant_id = $1 and c.id = n.id and (c.embedding_model <> $2 or $5)
