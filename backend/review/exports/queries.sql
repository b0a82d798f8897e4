-- name: checkpoint_before
-- The newest checkpoint signed no later than a moment: an export begins where it ends.
select size, note from audit.checkpoint where tenant_id = $1 and signed_at <= $2 order by id desc limit 1

-- name: checkpoint_after
-- The first checkpoint signed at or after a moment, or the newest: an export ends with it.
select size from audit.checkpoint where tenant_id = $1
order by signed_at >= $2 desc, case when signed_at >= $2 then id end, size desc, id desc limit 1

-- name: checkpoint_at_least
-- The first checkpoint that covers this many leaves.
select size, note, signed_at from audit.checkpoint where tenant_id = $1 and size >= $2 order by size, id limit 1

-- name: checkpoints_between
-- Checkpoints from one size to another, oldest first.
select id, size, note from audit.checkpoint
where tenant_id = $1 and size between $2 and $3 and id > $4
order by id limit $5

-- name: newest_checkpoint
-- The newest checkpoint of the log.
select id, size, note from audit.checkpoint where tenant_id = $1 order by size desc, id desc limit 1

-- name: leaves
-- Leaves in order, each with its event if it is still there.
select l.index, l.event_id, l.hash, e.envelope
from audit.leaf l
left join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id
where l.tenant_id = $1 and l.index >= $2 and l.index < $3
  and ($5::uuid is null or e.principal_id = $5)
  and ($6::text is null or e.action = $6)
  and ($7::text is null or e.outcome = $7)
  and ($8::text is null or l.event_id in (select d.event_id from audit.event_document d where d.tenant_id = $1 and d.doc_id = $8))
order by l.index
limit $4

-- name: payloads_of_events
-- The encrypted payloads of events with their keys.
with found as materialized (
  select event_id, name, ciphertext, key_id from audit.payload where tenant_id = $1 and event_id = any ($2::uuid[])
)
select f.event_id, f.name, f.ciphertext, f.key_id, k.wrapped
from found f join audit.revealed_keys(array(select distinct key_id from found)) k on k.id = f.key_id
order by f.event_id, f.name

-- name: erasures_after
-- Erasures and archivings that were sealed outside the export and can account for what it lacks.
select l.index, e.envelope from audit.event e
join audit.leaf l on l.tenant_id = e.tenant_id and l.event_id = e.id
where e.tenant_id = $1 and e.action in ('erasure:executed', 'audit:archived') and (l.index < $2 or l.index >= $3)
order by l.index

-- name: nodes_of_all
-- Hashes of the log of all checkpoints.
select n.level, n.position, n.hash from audit.nodes_of_all($1::int[], $2::bigint[]) n

-- name: handovers
-- The signed handovers of checkpoint keys.
select note from audit.handover order by id

-- name: declarations
-- What a restored database was declared to have lost of the log.
select note from audit.declaration where tenant_id = $1 order by id

-- name: unsealed_events
-- Events of a period that are in no leaf.
select e.id, e.envelope from audit.event e
where e.tenant_id = $1 and e.id > $2 and e.id < $3
  and not exists (select from audit.leaf l where l.tenant_id = e.tenant_id and l.event_id = e.id)
order by e.id limit $4

-- name: add_export
-- A new export.
insert into audit.export (tenant_id, id, requested_by, job_id, parameters) values ($1, $2, $3, $4, $5)

-- name: export
-- An export of the tenant.
select e.id, e.job_id, e.requested_by, e.parameters, e.created_at, e.events, e.sha256, e.size, e.parts
from audit.export e where e.tenant_id = $1 and e.id = $2

-- name: exports
-- A page of the tenant's exports, newest first; their ids carry their time.
select e.id, e.job_id, e.requested_by, e.parameters, e.created_at, e.events, e.sha256, e.size, e.parts
from audit.export e where e.tenant_id = $1 and ($2::uuid is null or e.id < $2)
order by e.id desc limit $3

-- name: finish_export
-- The file that came of an export; with parts, it only lists them.
update audit.export set events = $3, sha256 = $4, size = $5, parts = $6 where tenant_id = $1 and id = $2

-- name: sealed_until
-- Until when everything is sealed: the newest checkpoint's time.
select max(signed_at) from audit.checkpoint where tenant_id = $1
