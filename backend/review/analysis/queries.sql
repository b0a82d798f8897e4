-- name: count_by_action
-- Events by action in each of the intervals that begin at these ids. Answered from an index alone, as all of these are.
select width_bucket(id, $4::uuid[]) as bucket, action as value, count(*) from audit.event
where tenant_id = $1 and id >= $2 and id < $3 group by 1, 2 order by 1, 2

-- name: count_by_outcome
-- Events by outcome in each interval.
select width_bucket(id, $4::uuid[]) as bucket, outcome as value, count(*) from audit.event
where tenant_id = $1 and id >= $2 and id < $3 group by 1, 2 order by 1, 2

-- name: count_by_model
-- Answers by the model that gave them in each interval.
select width_bucket(id, $4::uuid[]) as bucket, model as value, count(*) from audit.event
where tenant_id = $1 and id >= $2 and id < $3 and model is not null group by 1, 2 order by 1, 2

-- name: count_by_actor
-- Events by principal in each interval, the most active ones of the whole period.
with counted as (
  select width_bucket(id, $4::uuid[]) as bucket, principal_id, count(*) as count from audit.event
  where tenant_id = $1 and id >= $2 and id < $3 and principal_id is not null group by 1, 2
), active as (
  select principal_id from counted group by principal_id order by sum(count) desc, principal_id limit 100
)
select bucket, principal_id::text as value, count from counted join active using (principal_id) order by 1, 2

-- name: timeline
-- Events of one principal, end user, conversation, request or turn, oldest first.
select e.id, e.envelope, coalesce(u.username, k.name) as principal_name
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and e.id > $2 and e.id < $3
  and ($4::uuid is null or e.principal_id = $4)
  and ($5::text is null or e.request_id = $5)
  and ($6::uuid is null or e.turn = $6)
  and ($7::text is null or e.end_user = $7)
  and ($8::uuid is null or e.conversation = $8)
order by e.id
limit $9

-- name: sealed_size
-- How many events of the tenant are sealed.
select coalesce(max(index) + 1, 0) from audit.leaf where tenant_id = $1

-- name: leaves_after
-- Sealed events in the order of their leaves; one that somebody removed has no envelope, nor has one that left for an archive.
select l.index, l.event_id, e.envelope, a.month from audit.leaf l
left join audit.event e on e.tenant_id = $1 and e.id = l.event_id
left join audit.archive a on a.tenant_id = $1 and a.left_at is not null and l.index >= a.first_leaf and l.index < a.end_leaf
  and audit.is_accounted_for(a)
where l.tenant_id = $1 and l.index > $2 and l.index < $3
order by l.index
limit $4
