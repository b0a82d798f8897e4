-- name: turn_events
-- All events of one turn, in order: the retrieval that its prompt names, the prompt, what was shown, the answer or its end, and what
-- was said of it later.
select e.id, e.envelope, coalesce(u.username, k.name) as principal_name
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and (e.id = $2 or e.turn = $2 or e.id = (
  select (p.envelope::jsonb #>> '{prompt,retrieval}')::uuid from audit.event p where p.tenant_id = $1 and p.id = $2))
order by e.id limit 500
