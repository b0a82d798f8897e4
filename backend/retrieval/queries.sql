-- name: readable_collections
-- Slugs of the collections that the caller may read, with their languages.
select id, slug, language from documents.collection where tenant_id = $1 and id = any ($2::uuid[]) order by slug

-- name: term_statistics
-- In how many chunks of these collections each term occurs, and how many chunks they hold.
select dimension, sum(chunks)::bigint as chunks from retrieval.term
where tenant_id = $1 and collection_id = any ($2::uuid[]) and dimension = any ($3::int[]) group by dimension
union all
select -1, coalesce(sum(chunks), 0)::bigint from retrieval.collection_size where tenant_id = $1 and collection_id = any ($2::uuid[])

-- name: search
-- The best chunks by the weighted sum of both scores, over the union of each ranking's candidates.
-- {filters} is replaced by conditions made of fixed text and bound parameters.
with semantic as (
  select id from documents.chunk
  where $5::halfvec is not null and tenant_id = $1 and collection_id = any ($2::uuid[]) and embedding_model = $4
    and effective_from <= $3 and effective_to > $3 {filters}
  order by dense <=> $5 limit $8
), lexical as (
  select id from documents.chunk
  where $6::sparsevec is not null and tenant_id = $1 and collection_id = any ($2::uuid[]) and embedding_model = $4
    and effective_from <= $3 and effective_to > $3 {filters}
  order by sparse <#> $6 limit $8
), scored as (
  select id, coalesce(1 - (dense <=> $5), 0) as cosine, coalesce(-(sparse <#> $6), 0) as bm25
  from documents.chunk
  where tenant_id = $1 and id in (select id from semantic union select id from lexical)
), best as (
  select id, cosine, bm25, cosine + $7 * bm25 as score from scored
  where $5::halfvec is not null or bm25 > 0
  order by score desc, id limit $9
)
select c.id, c.text, c.metadata, c.source_type, c.collection_id, c.sha256, c.document_id, d.doc_id, d.title, v.number as version,
  b.cosine, b.bm25, b.score
from best b
join documents.chunk c on c.tenant_id = $1 and c.id = b.id
join documents.document d on d.tenant_id = $1 and d.id = c.document_id
join documents.version v on v.tenant_id = $1 and v.id = c.version_id
order by b.score desc, b.id
