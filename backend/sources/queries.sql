-- name: sources
-- The tenant's sources, or one of them, newest first, with how the last run went.
select s.*, c.slug as collection, last.id as run_id, last.state as run_state, last.reason as run_reason,
  last.finished_at as run_finished_at, last.counts as run_counts
from (select {source} from sources.source where tenant_id = $1 and ($2::uuid is null or id = $2)) s
join documents.collection c on c.tenant_id = $1 and c.id = s.collection_id
left join lateral (select r.id, r.state, r.reason, r.finished_at, r.counts from sources.run r
  where r.tenant_id = $1 and r.source_id = s.id and not r.dry_run order by r.id desc limit 1) last on true
order by s.id desc

-- name: one_source_at_a_time
-- Lets those who make sources of one tenant wait for each other, so that they are counted.
select pg_advisory_xact_lock(hashtextextended('sources ' || $1::text, 0))

-- name: count_sources
-- How many sources the tenant has.
select count(*) from sources.source where tenant_id = $1

-- name: add_source
-- A source, of which the caller's person answers for what it writes.
insert into sources.source (tenant_id, id, name, kind, collection_id, address, options, sealed, source_type, metadata, every_minutes,
  daily_minute, next_run_at, responsible_id, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, sources.next_time($11, $12, now()), identity.acting_user(), $13)

-- name: lock_source
-- Waits until nobody else changes a source.
select id from sources.source where tenant_id = $1 and id = $2 for update

-- name: change_source
-- What a source is from now on, for which the caller's person answers; no row when there is none.
update sources.source set name = $3, address = $4, options = $5, source_type = $6, metadata = $7, every_minutes = $8, daily_minute = $9,
  next_run_at = case when (every_minutes, daily_minute) is not distinct from ($8, $9) then next_run_at
    else sources.next_time($8, $9, now()) end,
  status = $10, responsible_id = identity.acting_user(), changed_at = now()
where tenant_id = $1 and id = $2 returning id

-- name: seal_credentials
-- What a source proves itself with from now on, or nothing.
update sources.source set sealed = $3, responsible_id = identity.acting_user(), changed_at = now() where tenant_id = $1 and id = $2

-- name: delete_source
-- Forgets a source with what was seen there and its runs; no row when there is none.
delete from sources.source where tenant_id = $1 and id = $2 returning id

-- name: add_run
-- A run of a source; no row when one is not over yet. The job has the same id.
insert into sources.run (tenant_id, id, source_id, asked_by, dry_run, accept_gone)
values ($1, $2, $3, case when tenancy.principal_id() <> $3 then identity.acting_user() end, $4, $5)
on conflict (tenant_id, source_id) where finished_at is null do nothing returning id

-- name: end_lost_run
-- Ends a run of a source whose job is no more.
update sources.run r set state = 'failed', reason = 'job_gone', finished_at = now()
where r.tenant_id = $1 and r.source_id = $2 and r.finished_at is null
  and not exists (select from jobs.job j where j.tenant_id = $1 and j.id = r.id and j.status in ('queued', 'running'))

-- name: runs
-- A page of the runs of a source, newest first.
select id, source_id, asked_by, dry_run, state, reason, counts, created_at, finished_at
from sources.run where tenant_id = $1 and source_id = $2 and id < $3
order by id desc limit $4

-- name: run
-- A run, with what became of files.
select id, source_id, asked_by, dry_run, state, reason, counts, changes, created_at, finished_at
from sources.run where tenant_id = $1 and source_id = $2 and id = $3

-- name: take_due
-- The source that is due next, of whatever tenant but these.
select tenant_id, id from sources.take_due($1)

-- name: own_source
-- The source that the caller is.
select {source} from sources.source s where s.tenant_id = $1 and s.id = $2

-- name: own_sealed
-- What the source that the caller is proves itself with.
select sources.own_sealed()

-- name: begin_run
-- A run that begins, or goes on after its worker was lost; no row when it is over.
update sources.run set state = 'running' where tenant_id = $1 and id = $2 and source_id = $3 and finished_at is null
returning dry_run, accept_gone

-- name: forget_old_runs
-- Forgets what earlier runs of the source that the caller is told, but for the last.
select sources.forget_old_runs()

-- name: last_cursor
-- From where a run goes on.
select cursor from sources.run
where tenant_id = $1 and source_id = $2 and state = 'succeeded' and not dry_run and cursor is not null order by id desc limit 1

-- name: items
-- What the source held when it was last looked at; {item} is replaced by the columns of KnownItem.
select {item} from sources.item where tenant_id = $1 and source_id = $2

-- name: put_item
-- What a source holds under a key.
insert into sources.item as i (tenant_id, source_id, key_sha256, key, path, doc_id, tag, content_sha256, document_id, state, reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (tenant_id, source_id, key_sha256) do update
set key = excluded.key, path = excluded.path, doc_id = excluded.doc_id, tag = excluded.tag, content_sha256 = excluded.content_sha256,
  document_id = excluded.document_id, state = excluded.state, reason = excluded.reason, changed_at = now()
where i.state <> 'erased'

-- name: erased_among
-- Which of these names, as hashes, documents had that were erased.
select name_sha256 from sources.erased_among($1)

-- name: forget_item
-- Forgets what a source held under a key.
delete from sources.item where tenant_id = $1 and source_id = $2 and key_sha256 = $3

-- name: finish_run
-- What came of a run.
update sources.run set state = 'succeeded', counts = $4, changes = $5, cursor = $6, finished_at = now()
where tenant_id = $1 and id = $2 and source_id = $3 and finished_at is null returning id

-- name: end_run
-- Why nothing came of a run; no row when it is over already.
update sources.run set state = $3, reason = $4, finished_at = now() where tenant_id = $1 and id = $2 and finished_at is null
returning source_id, dry_run, asked_by
