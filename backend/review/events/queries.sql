-- name: plan_for_values
-- Plans each search for the filters it has, so that those it lacks vanish and the others find their index; and along an index
-- that has the order of the page, since the planner keeps no statistics of tenants and would take a filter for selective.
select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true),
  set_config('enable_bitmapscan', 'off', true)

-- name: list_events
-- A page of the tenant's log, newest first. Ids carry their time, so a range of time is a range of ids and of partitions.
select e.id, e.envelope, e.action, e.outcome, e.principal_id, e.model, coalesce(u.username, k.name) as principal_name
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and e.id >= $2 and e.id < $3
  and ($4::uuid is null or e.principal_id = $4)
  and ($5::text is null or e.action = $5)
  and ($6::text is null or e.outcome = $6)
  and ($7::text is null or e.request_id = $7)
  and ($9::text is null or exists (
    select from audit.event_document d where d.tenant_id = $1 and d.doc_id = $9 and d.event_id = e.id))
  and not exists (select from unnest($10::bigint[]) as w (term) where not exists (
    select from audit.payload_term t where t.tenant_id = $1 and t.term = w.term and t.event_id = e.id))
  and ($11::uuid is null or e.turn = $11)
  and ($12::uuid is null or e.conversation = $12)
  and ($13::text is null or e.end_user = $13)
  and ($14::text is null or e.envelope::json #>> '{door,kind}' = $14)
  and ($15::text is null or e.envelope::json ->> 'reason' = $15)
order by e.id desc
limit $8

-- name: list_events_of_document
-- The same, from the events about one document. `offset 0` has only those fetched that are shown: without statistics the planner
-- takes an index of one of the filters, and reads all of it for every document.
select e.id, e.envelope, e.action, e.outcome, e.principal_id, e.model, coalesce(u.username, k.name) as principal_name
from (
  select d.event_id from audit.event_document d
  where d.tenant_id = $1 and d.doc_id = $9 and d.event_id >= $2 and d.event_id < $3
    and ($4::uuid is null or d.principal_id = $4)
    and ($5::text is null or d.action = $5)
    and ($6::text is null or d.outcome = $6)
    and not exists (select from unnest($10::bigint[]) as w (term) where not exists (
      select from audit.payload_term t where t.tenant_id = $1 and t.term = w.term and t.event_id = d.event_id))
  order by d.event_id desc
) d
join lateral (
  select id, envelope, action, outcome, principal_id, model, request_id, turn, conversation, end_user
  from audit.event where tenant_id = $1 and id = d.event_id offset 0
) e on true
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where ($7::text is null or e.request_id = $7)
  and ($11::uuid is null or e.turn = $11)
  and ($12::uuid is null or e.conversation = $12)
  and ($13::text is null or e.end_user = $13)
  and ($14::text is null or e.envelope::json #>> '{door,kind}' = $14)
  and ($15::text is null or e.envelope::json ->> 'reason' = $15)
order by d.event_id desc
limit $8

-- name: list_events_with_terms
-- The same, from the events whose texts hold the first term, the rarest. A question stands in several payloads of an event.
select e.id, e.envelope, e.action, e.outcome, e.principal_id, e.model, coalesce(u.username, k.name) as principal_name
from (
  select distinct t.event_id from audit.payload_term t
  where t.tenant_id = $1 and t.term = ($10::bigint[])[1] and t.event_id >= $2 and t.event_id < $3
    and ($4::uuid is null or t.principal_id = $4)
    and ($5::text is null or t.action = $5)
    and ($6::text is null or t.outcome = $6)
    and ($9::text is null or exists (
      select from audit.event_document d where d.tenant_id = $1 and d.doc_id = $9 and d.event_id = t.event_id))
    and not exists (select from unnest(($10::bigint[])[2:]) as w (term) where not exists (
      select from audit.payload_term o where o.tenant_id = $1 and o.term = w.term and o.event_id = t.event_id))
  order by t.event_id desc
) d
join lateral (
  select id, envelope, action, outcome, principal_id, model, request_id, turn, conversation, end_user
  from audit.event where tenant_id = $1 and id = d.event_id offset 0
) e on true
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where ($7::text is null or e.request_id = $7)
  and ($11::uuid is null or e.turn = $11)
  and ($12::uuid is null or e.conversation = $12)
  and ($13::text is null or e.end_user = $13)
  and ($14::text is null or e.envelope::json #>> '{door,kind}' = $14)
  and ($15::text is null or e.envelope::json ->> 'reason' = $15)
order by d.event_id desc
limit $8


-- name: facets
-- How often each value occurs in what one of the searches above finds, which stands in place of the comment.
select f.facet, f.value, max(f.label) as label, count(*) as count
from (/* search */) as found
cross join lateral (values
  ('action', found.action, null),
  ('actor', found.principal_id::text, found.principal_name),
  ('outcome', found.outcome, null),
  ('model', found.model, null),
  ('door', found.envelope::json #>> '{door,kind}', null)) as f (facet, value, label)
where f.facet = any ($16::text[]) and f.value is not null
group by f.facet, f.value
order by f.facet, count(*) desc, f.value
-- name: rarest_first
-- Terms by how many texts hold them, counted no further than it matters.
select w.term, counted.count from unnest($2::bigint[]) as w (term)
join lateral (select count(*) from (
  select from audit.payload_term t where t.tenant_id = $1 and t.term = w.term limit 20000) as first) as counted on true
order by counted.count

-- name: events_of_document
-- How many events are about a document, counted no further than it matters.
select count(*) from (select from audit.event_document d where d.tenant_id = $1 and d.doc_id = $2 limit 20000) as first

-- name: principal_by_name
-- The principals that a reviewer means by a name.
select id from identity."user" where tenant_id = $1 and username = $2
union all
select id from identity.api_key where tenant_id = $1 and name = $2
limit 1

-- name: get_event
-- One event of the tenant.
select e.id, e.envelope, coalesce(u.username, k.name) as principal_name
from audit.event e
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where e.tenant_id = $1 and e.id = $2

-- name: payloads
-- The encrypted payloads of one event with their keys.
with found as materialized (
  select name, ciphertext, key_id from audit.payload where tenant_id = $1 and event_id = $2
)
select f.name, f.ciphertext, f.key_id, k.wrapped
from found f join audit.revealed_keys(array(select distinct key_id from found)) k on k.id = f.key_id
order by f.name

-- name: may_have_been
-- Whether the log knows of a document, or may have before its events left for an archive.
select exists (select from audit.event_document where tenant_id = $1 and doc_id = $2)
  or exists (select from audit.archive where tenant_id = $1 and left_at is not null)

-- name: readers
-- Who was shown a document, newest first.
select e.id, e.envelope, coalesce(u.username, k.name) as principal_name
from audit.event_document d
join lateral (
  select id, envelope, principal_id, action, outcome, request_id from audit.event where tenant_id = $1 and id = d.event_id offset 0
) e on true
left join identity."user" u on u.tenant_id = $1 and u.id = e.principal_id
left join identity.api_key k on k.tenant_id = $1 and k.id = e.principal_id
where d.tenant_id = $1 and d.doc_id = $2 and d.event_id < $3
  and d.action in ('retrieval:executed', 'prompt:submitted', 'answer:returned', 'document:read')
order by d.event_id desc
limit $4
