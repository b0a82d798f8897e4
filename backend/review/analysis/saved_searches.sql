-- name: save
-- A new search; a reviewer's names are unique.
insert into audit.saved_search (tenant_id, id, name, filters, saved_by) values ($1, $2, $3, $4, $5)

-- name: count
-- How many searches a reviewer has.
select count(*) from audit.saved_search where tenant_id = $1 and saved_by = $2

-- name: saved
-- A reviewer's searches by name.
select id, name, filters, saved_at from audit.saved_search where tenant_id = $1 and saved_by = $2 order by name

-- name: delete
-- Forgets a search; no row when there is none.
delete from audit.saved_search where tenant_id = $1 and saved_by = $2 and id = $3 returning name
