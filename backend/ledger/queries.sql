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
-- are left to the server that they come from, until it sends no more. The order is arbitrary, but once sealed it is the log's.
select u.tenant_id, u.event_id, e.envelope, exists (
  select from audit.leaf l where l.tenant_id = u.tenant_id and l.event_id = u.event_id) as sealed
from audit.unsealed u
join audit.event e on e.tenant_id = u.tenant_id and e.id = u.event_id
where not (u.received and (select audit.is_receiving()))
order by u.event_id
limit $1

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
where e.id >= $1 and e.id < $2 and not audit.is_receiving()
  and not exists (select from audit.leaf l where l.tenant_id = e.tenant_id and l.event_id = e.id)
  and not exists (select from audit.unsealed u where u.tenant_id = e.tenant_id and u.event_id = e.id)
on conflict do nothing

-- name: logs
-- The right edges of these logs.
select tenant_id, size, frontier from audit.log where tenant_id = any ($1::uuid[])

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
-- The newest checkpoint of each log.
select newest.note from audit.log l, lateral (
  select c.note from audit.checkpoint c where c.tenant_id = l.tenant_id order by c.id desc limit 1
) as newest

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
