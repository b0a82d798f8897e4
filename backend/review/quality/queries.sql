-- name: reported
-- What people thought of answers, newest first, with what a reviewer found last.
select e.id as event_id, e.occurred_at as time, e.turn, e.principal_id, coalesce(u.username, k.name) as principal_name,
  e.envelope::jsonb ->> 'rating' as rating, (
    select r.envelope::jsonb ->> 'verdict' from audit.event r
    where r.tenant_id = $1 and r.turn = e.turn and r.action = 'answer:reviewed' order by r.id desc limit 1) as verdict
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and e.action = 'answer:rated' and e.id < $2
order by e.id desc limit $3

-- name: sampled
-- Answers of a period that no reviewer has looked at, in an order that the seed draws.
select e.turn, e.occurred_at as time, coalesce(u.username, k.name) as principal_name
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and e.action = 'answer:returned' and e.id >= $2 and e.turn is not null and not exists (
  select from audit.event r where r.tenant_id = $1 and r.turn = e.turn and r.action = 'answer:reviewed')
order by sha256(convert_to(e.turn::text || $3, 'UTF8')) limit $4

-- name: was_answered
-- Whether there is an answer, or a refusal, of this turn.
select exists (select from audit.event where tenant_id = $1 and turn = $2 and action in ('answer:returned', 'answer:refused'))

-- name: answered
-- How many answers there were since then.
select count(*) from audit.event where tenant_id = $1 and action = 'answer:returned' and id >= $2

-- name: verdicts
-- How many answers have which verdict last, by why they were looked at.
select because, verdict, count(*) as answers from (
  select distinct on (turn) envelope::jsonb ->> 'because' as because, envelope::jsonb ->> 'verdict' as verdict
  from audit.event where tenant_id = $1 and action = 'answer:reviewed' and id >= $2 order by turn, id desc) newest
group by 1, 2 order by 1, 2
