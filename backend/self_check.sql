-- name: role
-- What the connected role could do beyond serving.
select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypassrls, r.rolcreaterole as createrole,
  r.rolcreatedb as createdb, r.rolreplication as replication,
  (select count(*) from pg_class c where c.relowner = r.oid) as owned,
  array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'member')) as memberships,
  has_database_privilege(current_database(), 'create') or has_database_privilege(current_database(), 'temporary')
    or exists (select from pg_namespace n where has_schema_privilege(n.oid, 'create')) as creates
from pg_roles r where r.rolname = current_user

-- name: refuses_writes
-- Why nothing can be written here; nothing where it can.
select case when current_setting('in_hot_standby')::boolean then 'is a standby: give the address of the primary'
  when current_setting('default_transaction_read_only')::boolean then 'is read-only: set default_transaction_read_only to off' end

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
where n.nspname in ('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'storage', 'jobs', 'answers', 'evaluation',
  'webhooks', 'sources') and c.relkind in ('r', 'p')
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
-- How many seconds ago a sealer last looked for events to seal, null when none ever has; why it stopped, if it did; and how
-- many events have waited too long to be sealed, and for how many seconds.
select extract(epoch from clock_timestamp() - s.sealed_at)::int as idle, s.halted, b.events, b.seconds as waiting
from audit.sealer s, audit.seal_backlog() b

-- name: knows_archives
-- Whether this database can say which archives are genuine.
select to_regprocedure('audit.has_forged_archive()') is not null

-- name: has_forged_archive
-- Whether there is an archive of the log's events of which no event of the log says that it left.
select audit.has_forged_archive()

-- name: loose_triggers
-- Tables of the log that somebody could change, since a trigger that refuses it is missing or can be skipped; and those whose
-- events would not be sealed, since the trigger that enters them into the queue does not fire.
select c.oid::regclass::text as table
from pg_class c cross join unnest(array['no_change', 'no_truncate']) as wanted (name)
where c.relnamespace = 'audit'::regnamespace and (c.relname in ('event', 'leaf', 'node', 'checkpoint', 'declaration')
    or c.oid in (select inhrelid from pg_inherits where inhparent = 'audit.event'::regclass))
  and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = wanted.name and t.tgenabled = 'A')
group by c.oid
union
select tree.relid::text from pg_partition_tree('audit.event') tree
where not exists (select from pg_trigger t where t.tgrelid = tree.relid and t.tgname = 'await_sealing' and t.tgenabled in ('O', 'A'))
order by 1

-- name: open_database
-- What everybody may do with the database, and the connected role with a language: anonymous code could loop and swallow errors.
select format('everybody may %s in the database', lower(a.privilege_type)) as what
from pg_database cross join aclexplode(coalesce(datacl, acldefault('d', datdba))) a
where datname = current_database() and a.grantee = 0
union all
select format('%s may use the language %s', current_user, lanname)
from pg_language where lanpltrusted and lanname not in ('sql', 'internal') and has_language_privilege(oid, 'usage')

-- name: open_server_functions
-- Functions of the server by which the connected role could watch or disturb others; infra/roles.sql names the same.
select p.oid::regprocedure::text as function
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(p.oid, 'execute')
  and (p.proname like 'pg\_stat\_get\_%' or p.proname like 'lo\_%'
    or p.proname in ('loread', 'lowrite', 'pg_lock_status', 'pg_blocking_pids', 'pg_cancel_backend', 'pg_terminate_backend',
      'pg_logical_emit_message', 'pg_notification_queue_usage', 'currtid2', 'pg_get_multixact_members', 'pg_wal_summary_contents'))
order by 1

-- name: cheap_conditions
-- How many functions are so cheap that a caller's condition may be asked before a policy's, and whether jsonb is subscripted for nothing.
select (select count(*) from pg_proc where procost < 20 and prokind <> 'a') as functions,
  (select typsubscript <> 0 from pg_type where oid = 'jsonb'::regtype) as subscripts

-- name: changed_settings
-- Defaults of the roles that serve which infra/roles.sql does not set, or sets otherwise, and those of the database that would undo them.
with wanted (role, setting) as (
  values ('affidavit_runtime', 'plan_cache_mode=force_custom_plan'), ('affidavit_runtime', 'statement_timeout=30s'),
    ('affidavit_runtime', 'jit=off'), ('affidavit_sealer', 'statement_timeout=60s'), ('affidavit_operator', 'statement_timeout=30s')
  union all
  select role, setting from unnest(array['affidavit_runtime', 'affidavit_sealer', 'affidavit_operator']) role,
    unnest(array['lock_timeout=5s', 'idle_in_transaction_session_timeout=30s', 'search_path=pg_catalog, public']) setting
), present (role, setting) as (
  select coalesce(r.rolname::text, 'everybody'), setting
  from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) setting
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and (r.rolname in (select role from wanted) or s.setrole = 0
      and split_part(setting, '=', 1) in ('synchronous_commit', 'row_security', 'search_path', 'session_replication_role', 'local_preload_libraries'))
)
(select role, setting, false as gone from present except select role, setting, false from wanted)
union all
(select role, setting, true from wanted except select role, setting, true from present)
order by 1, 2

-- name: clock
-- The server's time.
select extract(epoch from clock_timestamp())::double precision

-- name: context
-- Has the database verify the context of the transaction.
select tenancy.context() is not null
