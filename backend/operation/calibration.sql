-- name: sampled
-- Some chunks in force that a model embedded, the same ones each time, with what their collections say of them.
select c.text, coalesce(c.metadata ->> 'title', d.title, '') as title, c.heading_path, k.language, c.dense, k.personal_data <> 'tell' as masked
from documents.chunk c join documents.document d on d.tenant_id = c.tenant_id and d.id = c.document_id
join documents.collection k on k.tenant_id = c.tenant_id and k.id = c.collection_id
where c.tenant_id = $1 and c.embedding_model = $2 and c.effective_from <= now() and c.effective_to > now()
order by md5(c.id::text) limit $3
