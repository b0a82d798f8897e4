-- name: archives
-- Months that left the log, oldest first.
select month, first_leaf, end_leaf, events, sha256, size, left_at from audit.archive
where tenant_id = $1 and left_at is not null and audit.is_accounted_for(archive) order by month

-- name: archive
-- One month that left the log.
select month, first_leaf, end_leaf, events, sha256, size, left_at from audit.archive
where tenant_id = $1 and month = $2 and left_at is not null and audit.is_accounted_for(archive)

-- name: place_of_event
-- The leaf of a sealed event, and the month whose archive holds it, if the log accounts for that.
select l.index, a.month, a.sha256 from audit.leaf l
left join audit.archive a on a.tenant_id = l.tenant_id and l.index >= a.first_leaf and l.index < a.end_leaf
  and a.left_at is not null and audit.is_accounted_for(a)
where l.tenant_id = $1 and l.event_id = $2

-- name: archives_of_leaves
-- The archives that hold some of these leaves.
select month, first_leaf, end_leaf, sha256 from audit.archive
where tenant_id = $1 and left_at is not null and first_leaf < $3 and end_leaf > $2 and audit.is_accounted_for(archive) order by first_leaf
