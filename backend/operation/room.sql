-- name: take_turns
-- Until the transaction ends, nobody else finds room in this cell.
select pg_advisory_xact_lock(hashtext('tenancy.room'))

-- name: at_home
-- How many tenants are at home here.
select count(*) from tenancy.tenant t where tenancy.is_home(t.id)

-- name: size
-- Bytes of the database.
select pg_database_size(current_database())
