-- name: count_answers
-- How many answers since a moment cited a document, for who decides on its versions.
select audit.count_answers_from($1, $2)

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
