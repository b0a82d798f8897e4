-- name: roles
-- What each role of the service could do beyond its grants.
select format('role %s:%s%s%s%s%s%s', rolname, case when rolsuper then ' superuser' end, case when rolbypassrls then ' bypassrls' end,
  case when rolcreaterole then ' createrole' end, case when rolcreatedb then ' createdb' end,
  case when rolreplication then ' replication' end,
  (select string_agg(' member of ' || m.rolname, '') from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'member')))
from pg_roles r where rolname like 'affidavit%' order by 1

-- name: database
-- Grants on the database, its languages and its schemas, to anyone but the owner.
select format('%s: %s may %s', what, coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), string_agg(lower(a.privilege_type), ', ' order by 1))
from (
  select 'database' as what, datacl as acl, datdba as owner from pg_database where datname = current_database()
  union all
  select 'language ' || lanname, coalesce(lanacl, acldefault('l', lanowner)), lanowner from pg_language where lanpltrusted
  union all
  select 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)), nspowner from pg_namespace
  where nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\_t%'
) o cross join aclexplode(acl) a
where a.grantee <> o.owner
group by what, a.grantee order by 1

-- name: relations
-- Every relation of the service; the months of a partitioned table as one.
select distinct case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
    when 'S' then 'sequence' when 'f' then 'foreign table' end as kind,
  regexp_replace(c.oid::regclass::text, '_\d{4}_\d{2}$', '_YYYY_MM') as name,
  c.relowner::regrole::text as owner, c.relrowsecurity as enabled, c.relforcerowsecurity as forced, c.relispartition as partition,
  array(select format('%s for %s to %s', polname,
      case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end
        || case when polpermissive then '' else ' (restrictive)' end,
      array_to_string(array(select case r when 0 then 'public' else r::regrole::text end from unnest(polroles) r), ', '))
    from pg_policy where polrelid = c.oid order by 1) as policies,
  array(select format('%s may %s', grantee, string_agg(privilege, ', ' order by privilege)) from (
      select coalesce(nullif(a.grantee, 0)::regrole::text, 'public') as grantee, lower(a.privilege_type) as privilege
      from aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) a
      where a.grantee <> c.relowner
      union all
      select coalesce(nullif(a.grantee, 0)::regrole::text, 'public'),
        lower(a.privilege_type) || ' (' || string_agg(t.attname, ', ' order by t.attname) || ')'
      from pg_attribute t cross join aclexplode(t.attacl) a where t.attrelid = c.oid and a.grantee <> c.relowner
      group by a.grantee, a.privilege_type
    ) g group by grantee order by 1) as grants
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
order by 2

-- name: functions
-- Every function of the service, who it runs as and who may call it.
select format('function %s%s%s: %s', p.oid::regprocedure, case when prosecdef then ' as ' || proowner::regrole end,
  case when proleakproof then ' leakproof' end,
  coalesce((select string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), ', ' order by 1)
    from aclexplode(coalesce(proacl, acldefault('f', proowner))) a where a.grantee <> proowner), 'nobody')) as line,
  prosecdef as definer, coalesce(array_to_string(proconfig, ' '), '') as settings
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') and not exists (
  select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by 1

-- name: callable_functions
-- Functions of the service that the runtime role may run; whether as the owner, and whether they only compute.
select p.pronamespace::regnamespace || '.' || p.proname as name, prosecdef as definer, not prosecdef and provolatile = 'i' as computes_only
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') and has_schema_privilege('affidavit_runtime', n.oid, 'usage')
  and has_function_privilege('affidavit_runtime', p.oid, 'execute') and not exists (
    select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by 1
