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
returning last_xid, last_event

-- name: resign
-- Ends the lease, so that another sealer need not wait for it.
update audit.sealer set lease_until = '-infinity' where epoch = $1

-- name: watermark
-- Every transaction before this one has ended: what it wrote is visible, or never will be.
select pg_snapshot_xmin(pg_current_snapshot())

-- name: unsealed_events
-- Committed events that no log holds yet. The order is arbitrary, but once sealed it is the log's.
select tenant_id, id, envelope, xid from audit.event
where (xid, id) > ($1, $2) and xid < $3
order by xid, id
limit $4

-- name: advance
-- Remembers the last event that was sealed.
update audit.sealer set last_xid = $2, last_event = $3 where epoch = $1

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

-- name: create_coming_partitions
-- Room for the events of this month and the next three.
select audit.create_coming_partitions()
