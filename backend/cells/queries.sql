-- name: since
-- Entries from one on, as many as a page has; with the first and the last of them the note that signs all up to it.
with page as (select index, entry, note from cells.entry where index >= $1 order by index limit $2)
select entry, case when index in ($1, max(index) over ()) then note end as note from page order by index

-- name: append
-- A further entry.
insert into cells.entry (index, entry, note) values ($1, $2, $3)

-- name: tell
-- Tells whoever listens that there is something new.
select pg_notify('affidavit_directory', '')

-- name: lock
-- Keeps others from adding entries until the transaction ends.
lock table cells.entry in share row exclusive mode

-- name: is_prepared
-- Whether the control database holds a directory.
select to_regclass('cells.checkpoint') is not null

-- name: checkpoints
-- The log of the cells' logs; with the last of it the note that signs all.
select cell, entry, case when index = max(index) over () then note end as note from cells.checkpoint order by index

-- name: lock_checkpoints
-- Keeps others from adding to that log until the transaction ends.
lock table cells.checkpoint in share row exclusive mode

-- name: add_checkpoint
-- A further leaf of that log.
insert into cells.checkpoint (index, cell, entry, note) values ($1, $2, $3, $4)
