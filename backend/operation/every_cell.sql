-- name: cell_state
-- Revision and size of a cell's database, and how many old copies of tenants wait there.
select (select version_num from migration.alembic_version) as revision, pg_database_size(current_database()) as bytes,
  (select count(*) from tenancy.residence r where r.state = 'departed' and exists (select from tenancy.tenant t where t.id = r.tenant_id)) as old_copies

-- name: at_home
-- All tenants that are at home here.
select t.id, t.slug from tenancy.tenant t where tenancy.is_home(t.id) order by t.slug

-- name: residences
-- What this cell knows of where tenants are at home that have ever moved, and whose old copy should have gone a day ago.
select r.tenant_id, r.epoch, r.state,
  r.state = 'departed' and r.purge_after < now() - interval '1 day' and exists (select from tenancy.tenant t where t.id = r.tenant_id) as overdue
from tenancy.residence r

-- name: name_of_cell
-- What the database is called among the cells.
select tenancy.cell_name()

-- name: measured
-- Of each tenant that is at home here: chunks in force, how many more a day for a month, by its versions, and events a day for a week.
select t.slug, coalesce(s.chunks, 0)::bigint as chunks,
  coalesce(s.chunks * v.newer / nullif(v.versions, 0) / 30.0, 0)::double precision as chunks_per_day,
  (greatest(coalesce(l.size, 0) - coalesce(c.size, 0), 0) / 7.0)::double precision as events_per_day
from tenancy.tenant t
left join (select tenant_id, sum(chunks) as chunks from retrieval.collection_size group by tenant_id) s on s.tenant_id = t.id
left join (
  select tenant_id, count(*) as versions, count(*) filter (where created_at > now() - interval '30 days') as newer
  from documents.version group by tenant_id
) v on v.tenant_id = t.id
left join audit.log l on l.tenant_id = t.id
left join lateral (
  select size from audit.checkpoint p where p.tenant_id = t.id and p.signed_at < now() - interval '7 days' order by size desc limit 1
) c on true
where tenancy.is_home(t.id) order by t.slug

-- name: left_here
-- Tenants of which rows are here, or which are on the way: whoever removes the cell would lose them.
select t.slug, coalesce((select r.state from tenancy.residence r where r.tenant_id = t.id), 'home') as state from tenancy.tenant t
union all
select r.tenant_id::text, r.state from tenancy.residence r
where r.state in ('arriving', 'leaving') and not exists (select from tenancy.tenant t where t.id = r.tenant_id)
order by 1

-- name: newest_checkpoint
-- The newest checkpoint of a log.
select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1

-- name: nodes
-- The hashes of perfect subtrees of a log.
select n.level, n.position, n.hash from audit.node n
join unnest($2::int[], $3::bigint[]) as w (level, position) on w.level = n.level and w.position = n.position
where n.tenant_id = $1
union all
select 0, l.index, l.hash from audit.leaf l
where l.tenant_id = $1 and l.index in (select w.position from unnest($2::int[], $3::bigint[]) as w (level, position) where w.level = 0)
