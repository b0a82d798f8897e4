-- name: policies
-- What the collections that a question searches want done about personal data.
select slug, personal_data from documents.collection
where tenant_id = $1 and id = any ($2::uuid[]) and ($3::text[] is null or slug = any ($3)) order by slug

-- name: survey
-- What a search covers: the chosen collections of those the caller may read, with how many of their chunks have each term.
with searched as materialized (
  select c.id, c.slug, c.language, c.personal_data, coalesce(s.chunks, 0) as chunks
  from documents.collection c
  left join retrieval.collection_size s on s.tenant_id = $1 and s.collection_id = c.id
  where c.tenant_id = $1 and c.id = any ($2::uuid[]) and ($3::text[] is null or c.slug = any ($3))
    and ($4::text[] is null or c.language = any ($4))
  order by c.id
), frequency as (
  select t.dimension, sum(t.chunks)::bigint as chunks from retrieval.term t
  where t.tenant_id = $1 and t.dimension = any ($5::integer[]) and t.collection_id in (select id from searched) group by t.dimension
)
select s.*, f.*, p.state as placement, p.indexed_models,
  case when p.state = 'private' then (select reltuples::bigint from pg_class
    where oid = to_regclass('documents.chunk_' || translate($1::text, '-', ''))) end as partition_chunks
from (select coalesce(array_agg(id), '{}') as ids, coalesce(array_agg(slug), '{}') as slugs_found,
  coalesce(array_agg(slug) filter (where personal_data <> 'tell'), '{}') as masked,
  coalesce(array_agg(language), '{}') as languages, coalesce(sum(chunks), 0)::bigint as chunks from searched) s
cross join (select coalesce(array_agg(dimension), '{}') as dimensions_found, coalesce(array_agg(chunks), '{}') as frequencies
  from frequency) f
left join retrieval.placement p on p.tenant_id = $1

-- name: term_statistics
-- In how many chunks of these collections each term occurs.
select coalesce(array_agg(f.dimension), '{}') as dimensions_found, coalesce(array_agg(f.chunks), '{}') as frequencies
from (select t.dimension, sum(t.chunks)::bigint as chunks from retrieval.term t
  where t.tenant_id = $1 and t.collection_id = any ($2::uuid[]) and t.dimension = any ($3::integer[]) group by t.dimension) f

-- name: exact_search
-- The best chunks by the weighted sum of both scores, over every chunk that is a candidate. Nothing here can use an index
-- that only approximates: no ORDER BY is on a distance alone. A chunk embedded with another model is found by its words.
-- {place} is replaced by the columns of ChunkSpan, {partitions}, {candidates} and {filters} are replaced by conditions made of fixed text and bound parameters, {scored} by how
-- `scored` is read: as it is, or with the best chunk only of those whose texts are identical. `offset 0` has each
-- document looked up by its id: without statistics the planner would rather read all documents of the tenant. `placed` says
-- whether some chunks are or may by now be in a partition of the tenant's own, where a search of the shared one does not look.
-- Only the first $9 of $8 chunks are returned where none of them is on a page, since only pages are compared with one another.
with scored as (
  select *, coalesce(case when embedding_model = $4 then 1 - (dense <=> $5) end, 0) as cosine,
    coalesce(-(sparse <#> $6), 0) as bm25
  from documents.chunk
  where tenant_id = $1 and {partitions}
    and collection_id = any ($2::uuid[]) and {candidates}
    and ($6::sparsevec is not null or embedding_model = $4) {filters}
), best as (
  select id, collection_id, document_id, version_id, text, sha256, metadata, source_type, cosine, bm25,
    {place}, effective_from, effective_to, cosine + $7 * bm25 as score
  from {scored}
  where $5::halfvec is not null or bm25 > 0
  order by cosine + $7 * bm25 desc, id limit $8
), needed as (
  select * from best order by score desc, id
  limit case when exists (select from (select page_start from best order by score desc, id limit $9) first where page_start is not null)
    then $8::bigint else $9::bigint end
)
select b.*, d.doc_id, coalesce(b.metadata ->> 'title', d.title) as title, v.number as version, v.status,
  (select exists (select from retrieval.placement where tenant_id = $1)) as placed
from needed b
cross join lateral (select doc_id, title from documents.document where tenant_id = $1 and id = b.document_id offset 0) d
cross join lateral (select number, status from documents.version where tenant_id = $1 and id = b.version_id offset 0) v
order by b.score desc, b.id

-- name: indexed_search
-- The same over the nearest $9 chunks of each ranking, from the HNSW indexes of the tenant's own partition, over the best $11
-- that have one of the question's rare terms ($10), and over what is still or already in the shared partition. `filled` says
-- whether the HNSW indexes yielded as many as asked: only then is the list good.
-- {filters} as above; {dimensions} is replaced by the length of the model's vectors.
with semantic as materialized (
  select id, placement from documents.chunk
  where $5::halfvec is not null and tenant_id = $1 and placement = $1 and embedding_model = $4
    and collection_id = any ($2::uuid[]) and effective_from <= (select coalesce($3, now())) and effective_to > (select coalesce($3, now())) {filters}
  order by dense::halfvec({dimensions}) <=> $5::halfvec({dimensions}) limit $9
), lexical as materialized (
  select id, placement from documents.chunk
  where $6::sparsevec is not null and tenant_id = $1 and placement = $1
    and collection_id = any ($2::uuid[]) and effective_from <= (select coalesce($3, now())) and effective_to > (select coalesce($3, now())) {filters}
  order by sparse <#> $6 limit $9
), rare as materialized (
  select id, placement from documents.chunk
  where tenant_id = $1 and placement = $1 and id = any (array(select retrieval.chunks_with_terms($10::int[], $2, $6, $11)))
    and collection_id = any ($2::uuid[]) and effective_from <= (select coalesce($3, now())) and effective_to > (select coalesce($3, now())) {filters}
), elsewhere as (
  select id, placement from documents.chunk
  where tenant_id = $1 and placement = '00000000-0000-0000-0000-000000000000'
    and collection_id = any ($2::uuid[]) and effective_from <= (select coalesce($3, now())) and effective_to > (select coalesce($3, now())) {filters}
), scored as (
  select *, coalesce(case when embedding_model = $4 then 1 - (dense <=> $5) end, 0) as cosine,
    coalesce(-(sparse <#> $6), 0) as bm25
  from documents.chunk
  where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])
    and (placement, id) in (select placement, id from semantic union select placement, id from lexical
      union select placement, id from rare union select placement, id from elsewhere)
), best as (
  select id, collection_id, document_id, version_id, text, sha256, metadata, source_type, cosine, bm25,
    {place}, effective_from, effective_to, cosine + $7 * bm25 as score
  from {scored}
  where $5::halfvec is not null or bm25 > 0
  order by cosine + $7 * bm25 desc, id limit $8
)
select b.*, d.doc_id, coalesce(b.metadata ->> 'title', d.title) as title, v.number as version, v.status,
  ($5::halfvec is null or (select count(*) from semantic) = $9) and ($6::sparsevec is null or (select count(*) from lexical) = $9) as filled
from best b
cross join lateral (select doc_id, title from documents.document where tenant_id = $1 and id = b.document_id offset 0) d
cross join lateral (select number, status from documents.version where tenant_id = $1 and id = b.version_id offset 0) v
order by b.score desc, b.id

-- name: page_scores
-- What the pages of some chunks score as wholes: the mean cosine of their chunks, and the best BM25 of one. A page's chunks are
-- neighbours; those of a page with hundreds that are far from every chunk found are left out.
with page as (
  select version_id, page_start, min(ordinal) - 24 as first, max(ordinal) + 24 as last from documents.chunk
  where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and id = any ($7::uuid[])
  group by version_id, page_start
)
select page.version_id, page.page_start,
  coalesce(avg(case when c.embedding_model = $4 then 1 - (c.dense <=> $5) end), 0) as cosine,
  coalesce(max(-(c.sparse <#> $6)), 0) as bm25
from page cross join lateral (
  select embedding_model, dense, sparse from documents.chunk
  where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])
    and version_id = page.version_id and ordinal between page.first and page.last and page_start = page.page_start
    and collection_id = any ($2::uuid[]) and {candidates}
  offset 0
) c
group by page.version_id, page.page_start

-- name: placed
-- Whether a tenant's chunks are, or may by now be, elsewhere than in the partition that tenants share.
select exists (select from retrieval.placement where tenant_id = $1)

-- name: plan_for_values
-- Has the statements of this transaction planned for the values that they are run with: a plan for any tenant knows no partition.
select set_config('plan_cache_mode', 'force_custom_plan', true)

-- name: prefer_indexes
-- Makes the rest of this transaction search HNSW indexes, with so many nodes in view: whether that pays is decided already,
-- and the planner knows neither how many rows the policies leave nor what recall is.
select set_config('hnsw.ef_search', $1, true), set_config('enable_sort', 'off', true)

-- name: sample
-- How many of a sample of a large tenant's chunks pass the filters, and how many the sample has.
select count(*) filter (where true {filters}) as passing, count(*) as sampled
from documents.chunk tablesample system ($3)
where tenant_id = $1 and placement = $1 and collection_id = any ($2::uuid[])

-- name: ranks
-- Where chunks stand in each ranking of all that the caller may see, with their term weights.
select id, semantic_rank, lexical_rank, sparse from (
  select id, sparse, rank() over (order by case when embedding_model = $4 then dense <=> $5 end) as semantic_rank,
    rank() over (order by sparse <#> $6) as lexical_rank
  from documents.chunk
  where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])
    and collection_id = any ($2::uuid[]) and {candidates} {filters}
) ranked
where id = any ($7::uuid[])

-- name: vectors
-- The vectors of chunks that a model embedded.
select id, dense from documents.chunk
where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and id = any ($2::uuid[])
  and embedding_model = $3

-- name: documents_by_doc_id
-- Documents that the caller sees under a doc_id, with how far they ever got.
select d.id, d.collection_id, c.slug, exists (select from documents.version v
  where v.tenant_id = $1 and v.document_id = d.id and v.effective_from < 'infinity') as ever_approved
from documents.document d
join documents.collection c on c.tenant_id = $1 and c.id = d.collection_id
where d.tenant_id = $1 and d.doc_id = $2 and d.collection_id = any ($3::uuid[])
order by c.slug

-- name: principal_by_name
-- A user or key of the tenant with what it may do and the collections that it may read.
with principal as (
  select id, 'user' as kind, array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id) as roles,
    '{}'::text[] as permissions
  from identity."user" u where u.tenant_id = $1 and u.username = $2
  union all
  select id, 'key', '{}', permissions from identity.api_key where tenant_id = $1 and name = $2 and revoked_at is null
  limit 1
)
select p.*, array(select distinct g.collection_id from identity.collection_grant g
  where g.tenant_id = $1 and g.access = 'read' and (g.principal_id = p.id or g.role = any (p.roles))) as readable
from principal p

-- name: document_ranks
-- Where the best chunk of each document stands among all candidates; whether any of its chunks is one, and passes the filters,
-- and has one of these texts.
with candidate as (
  select document_id, id, sha256, true {filters} as passes,
    coalesce(case when embedding_model = $4 then 1 - (dense <=> $5) end, 0) as cosine, coalesce(-(sparse <#> $6), 0) as bm25
  from documents.chunk
  where tenant_id = $1 and placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])
    and collection_id = any ($2::uuid[]) and {candidates} and ($6::sparsevec is not null or embedding_model = $4)
), ranked as (
  select document_id, row_number() over (order by cosine + $7 * bm25 desc, id) as rank
  from candidate where passes and ($5::halfvec is not null or bm25 > 0)
)
select c.document_id, bool_or(c.passes) as passes, coalesce(bool_or(c.passes and c.sha256 = any ($9::bytea[])), false) as repeats,
  (select min(r.rank) from ranked r where r.document_id = c.document_id) as rank
from candidate c where c.document_id = any ($8::uuid[]) group by c.document_id
