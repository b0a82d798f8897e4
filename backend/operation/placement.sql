-- name: place
-- Says where a tenant's new chunks go; searches compare all its chunks until its indexes are ready, or once more when they go.
insert into retrieval.placement (tenant_id, state) values ($1, $2)
on conflict (tenant_id) do update set state = excluded.state, indexed_models = '{}', changed_at = now()
where placement.state <> 'private' or excluded.state = 'demoting'

-- name: indexed
-- Lets searches with these models use the tenant's indexes.
update retrieval.placement set state = 'private', indexed_models = $2, changed_at = now() where tenant_id = $1

-- name: unplace
-- Forgets a tenant that is back in the shared partition.
delete from retrieval.placement where tenant_id = $1

-- name: chunks_at
-- How many of a tenant's chunks are in a partition.
select count(*) from documents.chunk where tenant_id = $1 and placement = $2

-- name: next_versions
-- Some versions that have chunks in a partition.
select distinct version_id from (
  select version_id from documents.chunk where tenant_id = $1 and placement = $2 order by version_id limit $3
) next

-- name: documents_of_versions
-- The documents of versions.
select distinct document_id from documents.version where tenant_id = $1 and id = any ($2::uuid[])

-- name: move_chunks
-- Moves the chunks of versions from one partition to another; every reader sees each of them in exactly one.
update documents.chunk set placement = $3 where tenant_id = $1 and placement = $2 and version_id = any ($4::uuid[])

-- name: models
-- The embedding models of a tenant's chunks in its own partition, with the length of their vectors.
select embedding_model, min(vector_dims(dense)) as dimensions from documents.chunk
where tenant_id = $1 and placement = $1 group by embedding_model order by embedding_model

-- name: add_indexed_model
-- Lets searches with one more model use the indexes of a tenant that has them.
update retrieval.placement set indexed_models = indexed_models || $2::text
where tenant_id = $1 and state = 'private' and not $2 = any (indexed_models)

-- name: is_unfinished
-- Whether an index was being built when its command was killed.
select exists (select from pg_index where indexrelid = to_regclass($1) and not indisvalid)

-- name: proposals
-- Tenants whose chunks in the shared partition are more than an exact search should compare, largest first.
select t.slug, sum(s.chunks)::bigint as chunks
from retrieval.collection_size s join tenancy.tenant t on t.id = s.tenant_id
where not exists (select from retrieval.placement p where p.tenant_id = s.tenant_id and p.state <> 'demoting')
group by t.slug having sum(s.chunks) > $1 order by chunks desc, t.slug limit 100
