-- name: purgeable
-- Tenants whose deletion can no longer be taken back.
select id, slug from tenancy.tenant where id in (select tenancy.purgeable_tenants()) order by slug

-- name: tenant_tables
-- Every table of which the owner deletes a tenant's rows, and the tables that it references.
select c.oid::regclass::text as table, array(
  select distinct k.confrelid::regclass::text from pg_constraint k
  where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid) as referenced
from pg_policy p join pg_class c on c.oid = p.polrelid
where p.polname = 'purged'
order by 1

-- name: has_own_partition
-- Whether a tenant's chunks have a partition of their own.
select exists (select from retrieval.placement where tenant_id = $1)

-- name: delete_payloads
-- Texts of the audit log whose retention is over.
delete from audit.payload where tenant_id = $1 and tenant_id in (select tenancy.purgeable_tenants())
  and audit.retained_until(tenant_id, event_id) <= now()

-- name: retained_payloads
-- How many texts of the audit log must be kept.
select count(*) from audit.payload where tenant_id = $1

-- name: delete_tenant
-- The tenant itself, after all that was its.
delete from tenancy.tenant where id = $1 and id in (select tenancy.purgeable_tenants())

-- name: index_events
-- Enters what is left of a tenant's events into the index.
select audit.index_events(array_agg(tenant_id), array_agg(event_id)) from audit.unindexed where tenant_id = $1
