-- name: tables
-- Every table of the service but partitions: whether it has a tenant, whether its key names it, and its partitions if it has no key.
select c.oid::regclass::text as name, t.attnum is not null as of_tenants,
  coalesce(t.attnum = any (k.indkey), false) as keyed, k.indkey is null and c.relkind = 'p' as by_partition
from pg_class c
left join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped
left join pg_index k on k.indrelid = c.oid and k.indisprimary
where c.relnamespace::regnamespace::text = any ($1) and c.relkind in ('r', 'p') and not c.relispartition
order by 1

-- name: partitions
-- The partitions of a table.
select i.inhrelid::regclass::text as name from pg_inherits i where i.inhparent = $1::text::regclass order by 1

-- name: revision
-- The schema's revision.
select version_num from migration.alembic_version

-- name: size
-- Bytes of the database.
select pg_database_size(current_database())

-- name: cell_name
-- What the database is called among the cells.
select tenancy.cell_name()

-- name: name_cell
-- Names a cell, once; no row when it has another name.
insert into tenancy.cell (name) values ($1) on conflict (singleton) do update set name = excluded.name
where cell.name = excluded.name returning name

-- name: tenants
-- All tenants that are at home here.
select t.id, t.slug from tenancy.tenant t where tenancy.is_home(t.id) order by t.slug

-- name: domains
-- The domains of tenants that are at home here.
select d.domain, d.tenant_id from tenancy.domain d where tenancy.is_home(d.tenant_id) order by d.domain

-- name: purged
-- Which of these tenants were deleted here for good: their logs stay. A database that was put back to before a tenant has neither.
select t.id from unnest($1::uuid[]) as t (id)
where not exists (select from tenancy.tenant k where k.id = t.id)
  and (exists (select from audit.log l where l.tenant_id = t.id) or exists (select from audit.event e where e.tenant_id = t.id))

-- name: tenant
-- A tenant by its id.
select slug, status from tenancy.tenant where id = $1

-- name: has_own_partition
-- Whether a tenant's chunks have a partition of their own, or are on the way.
select exists (select from retrieval.placement where tenant_id = $1)

-- name: residence
-- What this cell knows of where a tenant is at home.
select epoch, state, other_cell from tenancy.residence where tenant_id = $1

-- name: reside
-- Says where a tenant is at home, as far as this cell is concerned.
insert into tenancy.residence (tenant_id, epoch, state, other_cell, purge_after) values ($1, $2, $3, $4, $5)
on conflict (tenant_id) do update set epoch = excluded.epoch, state = excluded.state, other_cell = excluded.other_cell,
  purge_after = excluded.purge_after, changed_at = now(), checkpoints_adopted = false

-- name: forget_residence
-- Forgets a tenant that never came.
delete from tenancy.residence where tenant_id = $1

-- name: close_fence
-- Refuses a tenant from now on; no row when it is refused already, or has left.
insert into tenancy.residence as r (tenant_id, epoch, state, other_cell) values ($1, $2, 'leaving', $3)
on conflict (tenant_id) do update set state = excluded.state, other_cell = excluded.other_cell, changed_at = now()
where r.state = 'home' and r.epoch = excluded.epoch returning state

-- name: is_leaving
-- Whether a tenant is refused and has not left.
select state = 'leaving' from tenancy.residence where tenant_id = $1 and epoch = $2

-- name: open_fence
-- Lets a tenant work again that has not left; no row for one that was not refused, or has.
update tenancy.residence set state = 'home', changed_at = now()
where tenant_id = $1 and epoch = $2 and state = 'leaving' returning state

-- name: leave
-- Refuses a tenant for good that was refused; no row for one that works here.
update tenancy.residence set state = 'departed', purge_after = coalesce(purge_after, $3), changed_at = now()
where tenant_id = $1 and epoch = $2 and state in ('leaving', 'departed') returning state

-- name: has_left
-- Whether the old copy of a tenant may go.
select tenancy.has_left($1)

-- name: fence_id
-- The transaction that closes the fence.
select pg_current_xact_id()::xid::text

-- name: begun_since
-- Whether all clients' transactions began after the fence was closed: one from before may write on behind it.
select count(*) = 0 and not exists (select from pg_prepared_xacts where database = current_database()) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
  and (age(backend_xid) > age($1::text::xid) or age(backend_xmin) >= age($1::text::xid))

-- name: sealed
-- Whether no event of a tenant waits to be sealed.
select not exists (select from audit.unsealed where tenant_id = $1)

-- name: newest_checkpoint
-- The newest checkpoint of a tenant's log.
select size, note from audit.checkpoint where tenant_id = $1 order by size desc, id desc limit 1

-- name: log
-- The right edge of a tenant's log.
select size, frontier from audit.log where tenant_id = $1

-- name: wal_position
-- Up to where the write-ahead log is written.
select pg_current_wal_insert_lsn()::text

-- name: has_received
-- Whether a subscriber has everything up to a position, on its disk.
select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1

-- name: bytes_behind
-- How much of the write-ahead log a subscriber has not confirmed.
select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)::bigint from pg_replication_slots where slot_name = $1

-- name: has_slot
-- Whether there is a replication slot.
select exists (select from pg_replication_slots where slot_name = $1)

-- name: drop_slot
-- Drops a slot that a subscription left behind.
select pg_drop_replication_slot($1)

-- name: has_publication
-- Whether there is a publication.
select exists (select from pg_publication where pubname = $1)

-- name: has_role
-- Whether there is a role.
select exists (select from pg_roles where rolname = $1)

-- name: has_subscription
-- Whether there is a subscription.
select exists (select from pg_subscription where subname = $1)

-- name: copied
-- How many tables of a subscription are copied, of how many, by how many workers, and how often something could not be applied.
select (select count(*) from pg_stat_subscription w where w.subname = $1 and w.relid is not null) as workers, count(*) filter (where r.srsubstate in ('r', 's')) as done, count(*) as tables,
  (select coalesce(sum(e.apply_error_count + e.sync_error_count), 0) from pg_stat_subscription_stats e where e.subname = $1) as errors
from pg_subscription s join pg_subscription_rel r on r.srsubid = s.oid where s.subname = $1

-- name: months
-- The months in which events have partitions, each as its first day.
select to_date(right(c.relname, 7), 'YYYY_MM') as month from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'audit.event'::regclass order by 1

-- name: create_partition
-- Room for the events of a month.
select audit.create_partition($1)

-- name: has_archives
-- Whether months of a tenant's log have left it.
select exists (select from audit.archive where tenant_id = $1)

-- name: files
-- What a tenant keeps in the file store, each with the hash of its content; of an export in parts, what lists them.
select id, sha256, null::jsonb as parts from documents.file where tenant_id = $1
union all
select id, sha256, null from documents.upload where tenant_id = $1
union all
select id, sha256, parts from audit.export where tenant_id = $1 and sha256 is not null

-- name: file_key
-- The wrapped key of a tenant's files.
select id, wrapped from storage.data_key where tenant_id = $1

-- name: data_key
-- The newest wrapped key of a tenant's texts.
select id, wrapped from audit.data_key where tenant_id = $1 order by id desc limit 1

-- name: keyed_tables
-- Of these tables those from which rows may be deleted: what each is a partition of if that has no key, and the columns of its key.
select c.oid::regclass::text as name,
  coalesce((select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid), c.oid::regclass::text) as whole,
  array_agg(quote_ident(a.attname) order by k.place) as columns,
  array_agg(format_type(a.atttypid, a.atttypmod) order by k.place) as types
from unnest($1::text[]) as n (name)
join pg_class c on c.oid = n.name::regclass
join pg_index x on x.indrelid = c.oid and x.indisprimary
cross join unnest(x.indkey[0 : x.indnkeyatts - 1]) with ordinality as k (attnum, place)
join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum and a.attname <> 'tenant_id'
where not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'no_change')
group by c.oid order by 1

-- name: old_copies
-- Tenants that have left and whose rows are still here.
select r.tenant_id from tenancy.residence r
where r.state = 'departed' and exists (select from tenancy.tenant t where t.id = r.tenant_id)
