-- name: latest_checkpoint
-- The newest checkpoint of the tenant's log.
select size, note from audit.checkpoint where tenant_id = $1 order by size desc, id desc limit 1

-- name: checkpoint_of_size
-- A checkpoint of this size.
select note from audit.checkpoint where tenant_id = $1 and size = $2 order by id limit 1

-- name: sealed_event
-- Where an event stands in the log.
select l.index, l.hash, e.envelope from audit.event e
left join audit.leaf l on l.tenant_id = $1 and l.event_id = e.id
where e.tenant_id = $1 and e.id = $2

-- name: nodes
-- The hashes of perfect subtrees.
select n.level, n.position, n.hash from audit.node n
join unnest($2::int[], $3::bigint[]) as w (level, position) on w.level = n.level and w.position = n.position
where n.tenant_id = $1
union all
select 0, l.index, l.hash from audit.leaf l
where l.tenant_id = $1 and l.index in (select w.position from unnest($2::int[], $3::bigint[]) as w (level, position) where w.level = 0)
