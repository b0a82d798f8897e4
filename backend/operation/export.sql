-- name: collections
-- All collections of a tenant.
select id from documents.collection where tenant_id = $1

-- name: exported_tables
-- What the runtime role can read of a tenant, except what is computed from the rest (vectors) and what is encrypted.
select c.oid::regclass::text as table, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
where n.nspname in ('identity', 'documents', 'retrieval', 'audit') and c.relkind in ('r', 'p') and not c.relispartition
  and a.attnum > 0 and not a.attisdropped and format_type(a.atttypid, null) not in ('halfvec', 'sparsevec')
  and has_column_privilege('affidavit_runtime', c.oid, a.attnum, 'select')
  and c.oid not in ('audit.payload'::regclass, 'audit.payload_term'::regclass, 'audit.data_key'::regclass)
group by c.oid
having bool_or(a.attname = 'tenant_id')
order by 1
