-- name: user_by_name
-- The user that somebody names.
select id from identity."user" where tenant_id = $1 and username = $2

-- name: add_hold
-- A new hold.
insert into audit.hold (tenant_id, id, subject_id, reason, placed_by) values ($1, $2, $3, $4, $5)

-- name: holds
-- Holds, newest first.
select id, subject_id, reason, placed_by, placed_at, released_by, released_at from audit.hold
where tenant_id = $1 order by id desc limit 500

-- name: live_hold
-- A hold that was not released.
select id from audit.hold where tenant_id = $1 and id = $2 and released_at is null

-- name: is_second_person
-- Whether the caller may approve what somebody asked for.
select identity.is_second_person('erasure:approve', $1, $2)

-- name: release_hold
-- Ends a hold; no row when there is none to end.
update audit.hold set released_by = $3, released_at = now() where tenant_id = $1 and id = $2 and released_at is null returning id

-- name: raise_retention
-- A longer period for a class of events.
insert into audit.retention (tenant_id, id, event_class, days, set_by) values ($1, $2, $3, $4, $5)

-- name: retention
-- The period that applies to each class.
select event_class, max(days)::int as days from audit.retention where tenant_id = $1 group by event_class order by event_class

-- name: add_erasure
-- A new request.
insert into audit.erasure (tenant_id, id, subject_id, legal_basis, requested_by) values ($1, $2, $3, $4, $5)

-- name: erasures
-- Requests, newest first.
select id, subject_id, legal_basis, requested_by, requested_at, approved_by, executed_at from audit.erasure
where tenant_id = $1 order by id desc limit 500

-- name: lock_erasure
-- A request that was not executed yet.
select subject_id, legal_basis, requested_by, requested_at from audit.erasure
where tenant_id = $1 and id = $2 and executed_at is null for update

-- name: approve_erasure
-- The second person's word.
update audit.erasure set approved_by = $3 where tenant_id = $1 and id = $2

-- name: retained
-- How many texts of a subject must still be kept, and until when.
select count(*) as texts, max(audit.retained_until(p.tenant_id, p.event_id)) as until
from audit.payload p join audit.data_key k on k.tenant_id = p.tenant_id and k.id = p.key_id
where p.tenant_id = $1 and k.subject_id = $2 and audit.retained_until(p.tenant_id, p.event_id) > now()

-- name: erase_payloads
-- Destroys the texts of a subject.
delete from audit.payload p using audit.data_key k
where p.tenant_id = $1 and k.tenant_id = p.tenant_id and k.id = p.key_id and k.subject_id = $2
returning p.event_id, p.name

-- name: erase_keys
-- Destroys the data keys of a subject.
delete from audit.data_key where tenant_id = $1 and subject_id = $2

-- name: execute_erasure
-- Marks a request as executed.
update audit.erasure set executed_at = now() where tenant_id = $1 and id = $2

-- name: open_turns
-- Prompts without an answer, older than half a minute: somebody asked and nothing says what became of it.
select e.id, e.occurred_at, e.principal_id, e.request_id from audit.event e
where e.tenant_id = $1 and e.action = 'prompt:submitted' and e.id < $2 and e.id >= $3
  and not exists (select from audit.event a where a.tenant_id = $1 and a.turn = e.id and a.id <> e.id)
order by e.id desc limit $4
