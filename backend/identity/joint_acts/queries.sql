-- name: ask_jointly
-- Asks for an act, or joins another person who has.
select state, request, asked_by from identity.ask_jointly($1, $2, $3, $4)

-- name: list_requests
-- Requests of two weeks that the caller sees, newest first.
select r.id, r.act, a.sentence, r.target, r.change, r.asked_by, r.asked_at, r.joined_by, r.joined_at, r.withdrawn_at,
  case when r.joined_at is not null then 'joined' when r.withdrawn_at is not null then 'withdrawn'
    when r.asked_at <= now() - interval '7 days' then 'lapsed' else 'waiting' end as state
from identity.joint_request r join identity.joint_act a on a.act = r.act
where r.tenant_id = $1 and r.asked_at > now() - interval '14 days' and ($2::uuid is null or r.id = $2)
order by r.asked_at desc, r.id desc limit 500

-- name: own_requests
-- What the caller asked for of a target, and waits.
select id from identity.joint_request
where tenant_id = $1 and act = $2 and target = $3 and asked_by = $4 and joined_at is null and withdrawn_at is null

-- name: withdraw_request
-- Takes a request back; no row when it is none of the caller's that waits.
update identity.joint_request set withdrawn_at = now()
where tenant_id = $1 and id = $2 and joined_at is null and withdrawn_at is null and asked_by = $3 returning act, target
