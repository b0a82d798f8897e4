-- name: endpoints
-- The tenant's endpoints, or one of them, newest first, with what waits and what was given up.
select e.id, e.url, e.description, e.kinds, e.status, e.disabled_because, e.created_by, e.created_at, e.failing_since, e.delivered_at,
  count(d.id) filter (where d.next_attempt_at is not null) as waiting,
  min(d.created_at) filter (where d.next_attempt_at is not null) as oldest_waiting_at,
  count(d.id) filter (where d.state = 'dead') as dead
from webhooks.endpoint e
left join webhooks.delivery d on d.tenant_id = $1 and d.endpoint_id = e.id and d.state <> 'delivered'
where e.tenant_id = $1 and ($2::uuid is null or e.id = $2)
group by e.tenant_id, e.id order by e.id desc

-- name: one_endpoint_at_a_time
-- Lets those who make endpoints of one tenant wait for each other, so that they are counted.
select pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::text, 0))

-- name: count_endpoints
-- How many endpoints the tenant has.
select count(*) from webhooks.endpoint where tenant_id = $1

-- name: add_endpoint
-- An endpoint, which is told of what is sealed from now on.
insert into webhooks.endpoint (tenant_id, id, url, description, kinds, position, turns_position, created_by)
select $1, $2, $3, $4, $5, s.at, s.at, $6 from (select webhooks.sealed_end() as at) s

-- name: change_endpoint
-- What an endpoint is from now on; no row when there is none. Enabled again, it counts as failing no more.
update webhooks.endpoint set url = $3, description = $4, kinds = $5, status = $6, disabled_because = $7, changed_at = now(),
  failing_since = case when $6 = 'enabled' and status = 'disabled' then null else failing_since end
where tenant_id = $1 and id = $2 returning id

-- name: delete_endpoint
-- Forgets an endpoint with its secrets and what was sent to it; no row when there is none.
delete from webhooks.endpoint where tenant_id = $1 and id = $2 returning id

-- name: add_secret
-- Another secret of an endpoint.
insert into webhooks.secret (tenant_id, id, endpoint_id, sealed) values ($1, $2, $3, $4)

-- name: end_secrets
-- Lets the present secrets of an endpoint end after so many seconds, unless they do before.
update webhooks.secret set expires_at = least(expires_at, now() + make_interval(secs => $3))
where tenant_id = $1 and endpoint_id = $2

-- name: forget_ended_secrets
-- Forgets secrets that sign no more.
delete from webhooks.secret where tenant_id = $1 and endpoint_id = $2 and expires_at <= now()

-- name: deliveries
-- A page of what was sent to an endpoint, newest first, after one of them.
select id, kind, event_id, state, attempts, created_at, attempted_at, next_attempt_at, response_status, failure
from webhooks.delivery
where tenant_id = $1 and endpoint_id = $2 and ($3::text is null or state = $3)
  and ($4::uuid is null or (created_at, id) < (select d.created_at, d.id from webhooks.delivery d
    where d.tenant_id = $1 and d.endpoint_id = $2 and d.id = $4))
order by created_at desc, id desc limit $5

-- name: delivery
-- One delivery.
select id, kind, event_id, state, attempts, created_at, attempted_at, next_attempt_at, response_status, failure
from webhooks.delivery where tenant_id = $1 and endpoint_id = $2 and id = $3

-- name: add_test
-- A message that tells of nothing.
insert into webhooks.delivery (tenant_id, endpoint_id, id, kind, body) values ($1, $2, $3, $4, $5)

-- name: replay_delivery
-- Has a delivery sent again, as often as a new one; no row when there is none.
update webhooks.delivery
set state = 'waiting', attempts = 0, next_attempt_at = now(), ended_at = null, response_status = null, failure = null
where tenant_id = $1 and endpoint_id = $2 and id = $3 returning id

-- name: replay_since
-- Has everything since a moment read and sent again; says in how many leaves of the log that is.
update webhooks.endpoint e set position = least(e.position, s.first), turns_position = least(e.turns_position, s.first),
  replayed_to = greatest(e.replayed_to, e.position)
from (select webhooks.sealed_end($3) as first, webhooks.sealed_end() as next) s
where e.tenant_id = $1 and e.id = $2 returning greatest(s.next - s.first, 0)

-- name: lease
-- Takes the endpoint that is next, of whatever tenant that is not busy.
select tenant_id, id from webhooks.lease($1, $2, $3, $4)

-- name: longest_due
-- For how many seconds the delivery of all tenants has been due that waits longest; nothing when none is.
select webhooks.longest_due()

-- name: leased_endpoint
-- The endpoint that the worker has.
select id, url, kinds, position, turns_position, replayed_to from webhooks.endpoint
where tenant_id = $1 and id = $2 and lease_id = $3 for no key update

-- name: sealed_end
-- How far the log is sealed.
select webhooks.sealed_end()

-- name: told_events
-- What so many leaves of the log tell of.
select place, event_id, action, outcome, occurred_at, envelope from webhooks.told_events($1, $2)

-- name: open_turns
-- How far prompts were looked at, and those without an answer.
select next, turns from webhooks.open_turns($1, $2, $3)

-- name: superseded_by
-- The versions that end where one begins.
select number, effective_to from webhooks.superseded_by($1, $2)

-- name: citing_turns
-- The turns whose answers cited a version.
select turn from webhooks.citing_turns($1, $2, $3) as turn

-- name: seal_backlog
-- For how many seconds the oldest event waits to be sealed; nothing while that is little.
select seconds from audit.seal_backlog()

-- name: add_delivery
-- A message to send; one that is there stays as it is, unless everything is to be sent again.
insert into webhooks.delivery as d (tenant_id, endpoint_id, id, kind, event_id, place, body) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, endpoint_id, id) do update
set state = 'waiting', attempts = 0, next_attempt_at = now(), ended_at = null, response_status = null, failure = null
where $8

-- name: move_on
-- How far an endpoint has been told; no row when the worker has it no more.
update webhooks.endpoint set position = $4, turns_position = $5 where tenant_id = $1 and id = $2 and lease_id = $3 returning id

-- name: forget_deliveries
-- Forgets what ended more than so many days ago, some of it at a time.
delete from webhooks.delivery where (tenant_id, endpoint_id, id) in (
  select tenant_id, endpoint_id, id from webhooks.delivery
  where tenant_id = $1 and endpoint_id = $2 and ended_at < now() - make_interval(days => $3) order by ended_at limit 1000)

-- name: take
-- Takes the delivery that is due; whoever is lost while sending it leaves it to be sent again after so many seconds.
update webhooks.delivery d
set attempts = d.attempts + 1, attempted_at = clock_timestamp(), next_attempt_at = now() + make_interval(secs => $3)
from (select id from webhooks.delivery where tenant_id = $1 and endpoint_id = $2 and next_attempt_at <= now()
  order by next_attempt_at, place nulls first, kind, id limit 1) due
where d.tenant_id = $1 and d.endpoint_id = $2 and d.id = due.id
returning d.id, d.kind, d.body, d.attempts

-- name: leased_secrets
-- The secrets that sign for the endpoint that the worker has, newest first.
select id, sealed from webhooks.leased_secrets()

-- name: mark_delivered
-- Somebody took it.
update webhooks.delivery set state = 'delivered', next_attempt_at = null, ended_at = now(), response_status = $4, failure = null
where tenant_id = $1 and endpoint_id = $2 and id = $3

-- name: mark_failed
-- Nobody took it; it is tried again after so many seconds, or given up.
update webhooks.delivery set state = case when $4::double precision is null then 'dead' else 'failed' end,
  next_attempt_at = now() + make_interval(secs => $4), ended_at = case when $4 is null then now() end, response_status = $5, failure = $6
where tenant_id = $1 and endpoint_id = $2 and id = $3

-- name: endpoint_took
-- The endpoint works.
update webhooks.endpoint set failing_since = null, delivered_at = now() where tenant_id = $1 and id = $2

-- name: endpoint_failed
-- The endpoint does not work, since when, and whether that is longer than so many days.
update webhooks.endpoint set failing_since = coalesce(failing_since, now()) where tenant_id = $1 and id = $2
returning failing_since, failing_since < now() - make_interval(days => $3) as for_long

-- name: disable
-- The endpoint is told nothing more.
update webhooks.endpoint set status = 'disabled', disabled_because = $3, changed_at = now() where tenant_id = $1 and id = $2

-- name: release
-- Lets another worker have the endpoint.
update webhooks.endpoint set leased_until = now() where tenant_id = $1 and id = $2 and lease_id = $3
