-- name: months
-- Every month that has a partition of the log.
select to_date(substring(c.relname from '[0-9]{4}_[0-9]{2}$'), 'YYYY_MM') as month
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'audit.event'::regclass order by 1

-- name: shares
-- How many events of a month each tenant has, how many of them are sealed, and in which leaf the last of them; -1 for none.
select e.tenant_id, count(*) as events, count(l.index) as sealed, coalesce(max(l.index), -1) as last_leaf
from audit.event e left join audit.leaf l on l.tenant_id = e.tenant_id and l.event_id = e.id
where e.id >= audit.first_id_at($1) and e.id < audit.first_id_at($2)
group by 1 order by 1

-- name: held
-- How many of these tenants have a legal hold.
select count(distinct tenant_id) from audit.hold where tenant_id = any ($1::uuid[]) and released_at is null

-- name: longest_retention
-- The longest period that one of these tenants chose, in days.
select coalesce(max(days), 0) from audit.retention where tenant_id = any ($1::uuid[])

-- name: end_before
-- Where the tenant's archives end, that of this month not counted.
select coalesce(max(end_leaf), 0) from audit.archive where tenant_id = $1 and month < $2

-- name: written
-- The archive of a month that has not left yet.
select first_leaf, end_leaf, events, sha256, size from audit.archive where tenant_id = $1 and month = $2 and left_at is null

-- name: write_archive
-- Where the events of a month are, before they leave.
insert into audit.archive (tenant_id, month, first_leaf, end_leaf, events, sha256, size) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, month) do update set first_leaf = excluded.first_leaf, end_leaf = excluded.end_leaf,
  events = excluded.events, sha256 = excluded.sha256, size = excluded.size, written_at = now()
where archive.left_at is null

-- name: let_go
-- Says that a month left.
update audit.archive set left_at = now() where month = $1 and left_at is null returning tenant_id

-- name: uncleared
-- Months that left and whose texts have not all been destroyed.
select tenant_id, month from audit.archive where left_at is not null and cleared_at is null order by month, tenant_id

-- name: clear_texts
-- Destroys texts of events that left, with the words they are searched by.
delete from audit.payload where ctid in (
  select p.ctid from audit.payload p
  where p.tenant_id = $1 and p.event_id >= audit.first_id_at($2) and p.event_id < audit.first_id_at($3) limit 5000)

-- name: clear_documents
-- Forgets which documents events were about that left.
delete from audit.event_document where ctid in (
  select d.ctid from audit.event_document d
  where d.tenant_id = $1 and d.event_id >= audit.first_id_at($2) and d.event_id < audit.first_id_at($3) limit 5000)

-- name: clear_keys
-- Destroys the data keys of a month whose texts are destroyed.
delete from audit.data_key where tenant_id = $1 and month = $2

-- name: cleared
-- Says that nothing of a month is left but its hashes.
update audit.archive set cleared_at = now() where tenant_id = $1 and month = $2
