-- name: propose_restoration
-- A proposal to declare what a restored database has lost.
insert into audit.restoration (id, reason, proposed_by) values ($1, $2, $3)

-- name: restoration
-- A proposal, and who made it.
select r.reason, r.proposed_by, r.confirmed_at, k.name as proposer
from audit.restoration r join identity.operator_key k on k.id = r.proposed_by where r.id = $1

-- name: confirm_restoration
-- Confirms a proposal; the database refuses who made it.
update audit.restoration set confirmed_by = $2, confirmed_at = now() where id = $1

-- name: declare
-- What one log has lost.
insert into audit.declaration (tenant_id, id, restoration_id, size, lost_until, note) values ($1, $2, $3, $4, $5, $6)

-- name: declarations
-- The declarations of a restoration.
select note from audit.declaration where restoration_id = $1 order by id
