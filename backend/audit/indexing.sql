-- name: index_oldest_events
-- Indexes the oldest events of all tenants that nobody else indexes just now.
select audit.index_oldest_events($1)

-- name: index_own_events
-- Indexes all events of the caller's tenant.
select audit.index_own_events()
