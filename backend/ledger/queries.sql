-- name: take_lead
-- Becomes the leader when nobody is, or stays it; a new leader gets a new epoch.
update audit.sealer
set epoch = case when holder = $1 and lease_until > now() then epoch else epoch + 1 end, holder = $1,
  lease_until = now() + make_interval(secs => $2)
where holder = $1 or lease_until < now()
returning epoch

-- name: keep_lead
-- Locks the state for this transaction and extends the lease; no row once another epoch has begun.
update audit.sealer set lease_until = now() + make_interval(secs => $2), sealed_at = now()
where epoch = $1
returning true

-- name: resign
-- Ends the lease, so that another sealer need not wait for it.
update audit.sealer set lease_until = '-infinity' where epoch = $1

-- name: unsealed_events
-- Committed events that no log holds yet, oldest first; `sealed` ones came with their leaves. Those that replication brought
-- are left to the server that they come from, until it sends no more; those of tenants that rest are left for the next time.
-- The order is arbitrary, but once sealed it is the log's.
select u.tenant_id, u.event_id, e.envelope, exists (
  select from audit.leaf l where l.tenant_id = u.tenant_id and l.event_id = u.event_id) as sealed
from audit.unsealed u
join audit.event e on e.tenant_id = u.tenant_id and e.id = u.event_id
where not (u.received and (select audit.is_receiving())) and u.tenant_id not in (select tenancy.elsewhere())
  and u.tenant_id <> all ($2::uuid[])
order by u.event_id
limit $1

-- name: newcomers_checkpoints
-- Checkpoints that tenants brought from another cell, and that the log of all checkpoints does not hold.
select c.tenant_id, c.id, c.note from audit.checkpoint c
where c.tenant_id in (select tenancy.newcomers())
  and not exists (select from audit.leaf l where l.tenant_id = $1 and l.event_id = c.id)
order by c.id

-- name: note_adopted
-- The log of all checkpoints holds theirs.
select tenancy.note_adopted($1)

-- name: newcomers
-- Tenants that came from another cell since the last time.
select newcomer from tenancy.newcomers() newcomer

-- name: take_out
-- Takes events out of the queue, in the transaction that appends their leaves.
delete from audit.unsealed u using unnest($1::uuid[], $2::uuid[]) as t (tenant_id, event_id)
where u.tenant_id = t.tenant_id and u.event_id = t.event_id

-- name: months
-- The months, as YYYY_MM, in which events have partitions.
select right(c.relname, 7) as month from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'audit.event'::regclass order by 1

-- name: enter_unsealed
-- Enters the events of a month that have neither a leaf nor a place in the queue, unless another server is about to seal them.
insert into audit.unsealed (tenant_id, event_id)
select e.tenant_id, e.id from audit.event e
where e.id >= $1 and e.id < $2 and not audit.is_receiving() and e.tenant_id not in (select tenancy.elsewhere())
  and not exists (select from audit.leaf l where l.tenant_id = e.tenant_id and l.event_id = e.id)
  and not exists (select from audit.unsealed u where u.tenant_id = e.tenant_id and u.event_id = e.id)
on conflict do nothing

-- name: logs
-- The right edges of these logs.
select tenant_id, size, frontier from audit.log where tenant_id = any ($1::uuid[])

-- name: first_leaf
-- The hash of a log's first leaf.
select hash from audit.leaf where tenant_id = $1 and index = 0

-- name: add_leaves
-- New leaves.
insert into audit.leaf (tenant_id, index, event_id, hash)
select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[])

-- name: add_nodes
-- The inner nodes that new leaves complete.
insert into audit.node (tenant_id, level, position, hash)
select * from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[])

-- name: store_logs
-- The new right edges. A frontier travels as one string of hashes, since arrays of arrays must be rectangular.
insert into audit.log (tenant_id, size, frontier)
select n.tenant_id, n.size,
  array(select substring(n.frontier from 32 * i + 1 for 32) from generate_series(0, octet_length(n.frontier) / 32 - 1) as i order by i)
from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as n (tenant_id, size, frontier)
on conflict (tenant_id) do update set size = excluded.size, frontier = excluded.frontier

-- name: add_checkpoints
-- New signed checkpoints.
insert into audit.checkpoint (tenant_id, id, size, note)
select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[])

-- name: newest_notes
-- The newest checkpoint of each log, and the handovers of their keys.
select newest.note from audit.log l, lateral (
  select c.note from audit.checkpoint c where c.tenant_id = l.tenant_id order by c.size desc, c.id desc limit 1
) as newest
union all
select note from audit.handover

-- name: add_handover
-- A handover of one key to another, once; its lines of keys come apart as well.
insert into audit.handover (id, note) select $1, $2 where not exists (select from audit.handover h where position($3 in h.note) > 0)

-- name: newest_note
-- The newest checkpoint of a log.
select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1

-- name: notes_since
-- The checkpoints of a log that were stored since a moment; their ids carry their time.
select note from audit.checkpoint
where tenant_id = $1 and id >= (lpad(to_hex((extract(epoch from $2::timestamptz) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid

-- name: log
-- The right edge of a log.
select size, frontier from audit.log where tenant_id = $1

-- name: halt
-- Says why sealing has stopped.
update audit.sealer set halted = $2, lease_until = '-infinity' where epoch = $1

-- name: go_on
-- Sealing goes on.
update audit.sealer set halted = null where epoch = $1 and halted is not null

-- name: create_coming_partitions
-- Room for the events of this month and the next three.
select audit.create_coming_partitions()

-- name: meta_leaves
-- Leaves of the log of all checkpoints, in order, from one on.
select index, event_id, hash from audit.leaf where tenant_id = $1 and index >= $2 order by index limit $3

-- name: meta_notes
-- The checkpoints of the log of all checkpoints, from one of a size on.
select size, note from audit.checkpoint where tenant_id = $1 and size between $2 and $3 order by size, id

-- name: removed_checkpoints
-- Leaves of the log of all checkpoints of which the checkpoint is gone.
select l.index, l.event_id from audit.leaf l
where l.tenant_id = $1 and not exists (select from audit.checkpoint c where c.id = l.event_id and c.tenant_id <> $1)
order by l.index limit $2

-- name: checkpoints_of_tenants
-- Checkpoints in the order of the tenants, each with the hash that was sealed.
select c.tenant_id, c.id, c.size, c.note, l.hash from audit.checkpoint c
left join audit.leaf l on l.tenant_id = $1 and l.event_id = c.id
where c.tenant_id <> $1 and (c.tenant_id, c.id) > ($2, $3) order by c.tenant_id, c.id limit $4

-- name: tenants
-- Whose logs there are.
select tenant_id from audit.log where tenant_id <> $1 order by tenant_id
