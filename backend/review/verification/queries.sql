-- name: edge
-- The right edge of the tenant's log, and the newest that is left of its leaves and checkpoints: the largest, since the ids of those
-- that were signed after a clock was set back are smaller than earlier ones.
select l.size, l.frontier, (select max(index) from audit.leaf where tenant_id = $1) as last_leaf,
  (select size from audit.checkpoint where tenant_id = $1 order by size desc limit 1) as checkpoint,
  (select signed_at from audit.checkpoint where tenant_id = $1 order by size desc, id desc limit 1) as signed_at
from (select) as one left join audit.log l on l.tenant_id = $1

-- name: nodes_of_level
-- Roots of perfect subtrees of one size, in order.
select position, hash from audit.node where tenant_id = $1 and level = $2 and position > $3 order by position limit $4

-- name: node_above
-- Of the nodes above a level the one that covers most leaves.
select level, position from audit.node where tenant_id = $1 and level > $2 order by level desc, position desc limit 1

-- name: size_by_now
-- How many leaves the log has by now, by its right edge and by the last of them.
select greatest((select size from audit.log where tenant_id = $1), (select max(index) + 1 from audit.leaf where tenant_id = $1), 0)

-- name: archives
-- Months that are said to have left the log, and whether an event of the log says so.
select month, first_leaf, end_leaf, audit.is_accounted_for(archive) as accounted from audit.archive
where tenant_id = $1 and left_at is not null order by month

-- name: archivings
-- Events that say that leaves left for an archive of which there is no row.
select l.index, e.envelope::jsonb #>> '{archive,month}' as month from audit.event e
join audit.leaf l on l.tenant_id = e.tenant_id and l.event_id = e.id
where e.tenant_id = $1 and e.action = 'audit:archived' and not exists (
  select from audit.archive a where a.tenant_id = $1 and a.left_at is not null
    and encode(a.sha256, 'hex') = e.envelope::jsonb #>> '{archive,sha256}')
order by l.index

-- name: leaves
-- Leaves in order, with their events as far as they are there.
select l.index, l.event_id, e.envelope from audit.leaf l
left join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id
where l.tenant_id = $1 and l.index >= $2 and l.index < $3 order by l.index

-- name: unindexed_documents
-- Those of some documents and events that the index by documents does not have.
select w.doc_id, w.event_id from unnest($2::text[], $3::uuid[]) as w (doc_id, event_id)
where not exists (
  select from audit.event_document d where d.tenant_id = $1 and d.doc_id = w.doc_id and d.event_id = w.event_id)

-- name: texts
-- The encrypted texts of events: whether the key of each is there, and whether the index has all of its words.
with found as materialized (
  select event_id, name, key_id, terms from audit.payload where tenant_id = $1 and event_id = any ($2::uuid[])
), keys as materialized (
  select id from audit.revealed_keys(array(select distinct key_id from found))
)
select f.event_id, f.name, f.key_id, f.key_id in (select id from keys) as has_key, not exists (
    select from unnest(f.terms) as w (term) where not exists (
      select from audit.payload_term t
      where t.tenant_id = $1 and t.term = w.term and t.event_id = f.event_id and t.name = f.name)) as is_indexed
from found f order by f.event_id, f.name

-- name: shrank_since
-- Whether texts were erased or events left for an archive since the id of a moment.
select exists (select from audit.event
  where tenant_id = $1 and action in ('erasure:executed', 'audit:archived') and id >= $2)
