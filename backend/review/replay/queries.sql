-- name: chunk_states
-- What became of chunks: their collections, whether their versions cover a moment or have ended, and since when they were known.
select c.id, c.collection_id, v.status, v.effective_to <= now() as has_ended,
  v.effective_from <= $3 and v.effective_to > $3 as covers,
  (select min(h.recorded_at) from documents.version_history h
   where h.tenant_id = $1 and h.version_id = v.id and h.effective_from < 'infinity') as recorded_at
from documents.chunk c
join documents.version v on v.tenant_id = $1 and v.id = c.version_id
where c.tenant_id = $1 and c.placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[]) and c.id = any ($2::uuid[])
