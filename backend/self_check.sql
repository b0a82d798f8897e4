-- name: role
-- What the connected role could do beyond serving.
select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypassrls, r.rolcreaterole as createrole,
  r.rolcreatedb as createdb, r.rolreplication as replication,
  (select count(*) from pg_class c where c.relowner = r.oid) as owned,
  array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'member')) as memberships,
  has_database_privilege(current_database(), 'create') or has_database_privilege(current_database(), 'temporary')
    or exists (select from pg_namespace n where has_schema_privilege(n.oid, 'create')) as creates
from pg_roles r where r.rolname = current_user

-- name: versions
-- Versions of server and extension.
select current_setting('server_version_num')::int as server, (select extversion from pg_extension where extname = 'vector') as vector

-- name: guarded
-- Whether the event trigger that refuses definitions of the serving roles is always on.
select exists (select from pg_event_trigger t join pg_proc p on p.oid = t.evtfoid join pg_namespace n on n.oid = p.pronamespace
  where t.evtname = 'refuse_definitions' and t.evtevent = 'ddl_command_start' and t.evtenabled = 'A' and t.evttags is null
    and n.nspname = 'guard' and p.proname = 'refuse_definitions')

-- name: is_migrated
-- Whether a migration has ever run.
select to_regclass('migration.alembic_version') is not null

-- name: revision
-- The schema's revision.
select version_num from migration.alembic_version

-- name: tables
-- Every table of the service and how it is protected; partitions have no policies, since nobody is granted them.
select format('%s.%s', n.nspname, c.relname) as table, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
  c.relispartition or exists (select from pg_policy p where p.polrelid = c.oid) as policies
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs') and c.relkind in ('r', 'p')
order by 1

-- name: forbidden_grants
-- Grants that would let the connected role change what is append-only, or reach a table around its policies.
select format('%s on %s.%s', privilege, n.nspname, c.relname) as grant
from pg_class c join pg_namespace n on n.oid = c.relnamespace
cross join unnest(array['update', 'delete', 'truncate', 'trigger', 'references']) as privilege
where n.nspname = 'audit' and c.relkind in ('r', 'p') and has_table_privilege(c.oid, privilege)
  -- An approved erasure destroys texts and their keys, and its policies say when. Saved searches are no evidence.
  and not (privilege = 'delete' and c.relname in ('payload', 'data_key', 'saved_search'))
union all
select format('select on partition %s.%s', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('documents', 'audit') and c.relispartition and has_table_privilege(c.oid, 'select, insert, update, delete')

-- name: partition_ahead
-- Whether next month's events have a partition.
select to_regclass('audit.event_' || to_char(now() + interval '1 month', 'YYYY_MM')) is not null

-- name: sealer
-- How long ago a sealer last looked for events to seal; null when none ever has.
select extract(epoch from clock_timestamp() - sealed_at)::int from audit.sealer
