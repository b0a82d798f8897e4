-- name: facts
-- Everything about the schema that a release states: objects, their parts, and how each is. Of partitions that come and go, only
-- what is not as in every partition. Names are shown as the search path `pg_catalog, public` finds them.
with space as (
  select oid, nspname, nspowner, nspacl from pg_namespace
  where nspname in ('migration', 'tenancy', 'identity', 'documents', 'retrieval', 'storage', 'jobs', 'answers', 'evaluation', 'webhooks',
    'sources', 'audit')
), relation as (
  select c.oid, c.relkind, c.relowner, c.relacl, c.relpersistence, c.relreplident, c.reloptions, c.relrowsecurity,
    c.relforcerowsecurity, 'table ' || format('%I.%I', s.nspname, c.relname) as object,
    c.relispartition and c.oid is distinct from to_regclass('documents.chunk_shared') as comes_and_goes,
    (select inhparent from pg_inherits where inhrelid = c.oid and c.relispartition) as parent
  from pg_class c join space s on s.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
), routine as (
  select p.*, 'function ' || p.oid::regprocedure as object from pg_proc p join space s on s.oid = p.pronamespace
), attribute as (
  select r.object, r.comes_and_goes, r.parent, a.attrelid, a.attnum, a.attname, a.attacl, a.attstorage,
    coalesce(a.attstattarget, -1) as statistics,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
      'collate ' || nullif(a.attcollation, t.typcollation)::regcollation, 'identity ' || nullif(a.attidentity::text, ''),
      case when d.oid is not null then case a.attgenerated when '' then 'default ' else 'generated ' end end
        || pg_get_expr(d.adbin, d.adrelid)) as definition
  from relation r join pg_attribute a on a.attrelid = r.oid join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
), permission as (
  select 'schema ' || nspname as object, '' as part, coalesce(nspacl, acldefault('n', nspowner)) as acl, nspowner as owner,
    false as comes_and_goes from space
  union all
  select object, '', coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)), relowner,
    comes_and_goes from relation
  union all
  select object, ' of ' || attname, attacl, null, comes_and_goes from attribute where attacl is not null
  union all
  select object, '', coalesce(proacl, acldefault('f', proowner)), proowner, false from routine
), role as (
  select oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit from pg_roles
  where rolname in ('affidavit_owner', 'affidavit_runtime', 'affidavit_sealer', 'affidavit_operator')
)
select 'schema ' || nspname as object, 'owner' as part, nspowner::regrole::text as how from space
union all
-- MAINTAIN came with PostgreSQL 17. Owners of tables gave some of their own rights away.
select object, 'rights of ' || coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || part,
  string_agg(lower(a.privilege_type) || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type)
from permission cross join aclexplode(acl) a
where a.privilege_type <> 'MAINTAIN' and (a.grantee is distinct from owner or object like 'table %' and not comes_and_goes)
group by object, part, a.grantee
union all
select object, 'kind', concat_ws(' ', relkind, relpersistence, relreplident, relowner::regrole, pg_get_partkeydef(oid),
  (select string_agg(option, ', ' order by option) from unnest(reloptions) as option)) from relation where not comes_and_goes
union all
select object, 'row-level security', case when not relrowsecurity then 'off' when relforcerowsecurity then 'forced' else 'enabled' end
from relation where not (comes_and_goes and relrowsecurity and relforcerowsecurity)
union all
select object, 'column ' || attname, definition || ' ' || attstorage::text from attribute where not comes_and_goes
union all
select a.object, 'column ' || a.attname, a.definition
from attribute a join attribute p on p.attrelid = a.parent and p.attname = a.attname
where a.comes_and_goes and a.definition <> p.definition
union all
-- Partitions of one tenant keep statistics, which tell of nobody else.
select a.object, 'statistics of ' || a.attname, 'kept'
from attribute a where a.statistics <> 0
  and not (a.comes_and_goes and a.parent is not distinct from to_regclass('documents.chunk'))
union all
-- Since PostgreSQL 18, NOT NULL is a constraint as well; it stands with its column.
select r.object, 'constraint ' || c.conname, pg_get_constraintdef(c.oid)
from pg_constraint c join relation r on r.oid = c.conrelid where c.contype <> 'n' and not r.comes_and_goes
union all
select r.object, 'index ' || c.relname, pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
from pg_index i join relation r on r.oid = i.indrelid join pg_class c on c.oid = i.indexrelid where not r.comes_and_goes
union all
select r.object, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
from pg_trigger t join relation r on r.oid = t.tgrelid where not t.tgisinternal and not r.comes_and_goes
union all
select r.object, 'trigger ' || w.name, 'missing, or not always on'
from relation r cross join unnest(array['no_change', 'no_truncate']) as w (name)
where r.comes_and_goes and r.parent = to_regclass('audit.event')
  and not exists (select from pg_trigger t where t.tgrelid = r.oid and t.tgname = w.name and t.tgenabled = 'A')
union all
select r.object, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid)
from pg_trigger t join relation r on r.oid = t.tgrelid
where not t.tgisinternal and t.tgparentid = 0 and r.comes_and_goes and t.tgname not in ('no_change', 'no_truncate')
union all
select r.object, 'rule ' || w.rulename, pg_get_ruledef(w.oid) from pg_rewrite w join relation r on r.oid = w.ev_class
union all
select r.object, 'policy ' || l.polname, concat_ws(' ', case when l.polpermissive then 'permissive' else 'restrictive' end,
  case l.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' end,
  'to', (select string_agg(coalesce(nullif(o, 0)::regrole::text, 'public'), ', ' order by 1) from unnest(l.polroles) as o),
  'using ' || pg_get_expr(l.polqual, l.polrelid), 'with check ' || pg_get_expr(l.polwithcheck, l.polrelid))
from pg_policy l join relation r on r.oid = l.polrelid
union all
select object, 'owner', proowner::regrole::text from routine
union all
select object, 'definition', md5(case when prokind = 'a' then 'aggregate' else pg_get_functiondef(oid) end) from routine
union all
select 'default rights of ' || defaclrole::regrole, coalesce('in ' || nullif(defaclnamespace, 0)::regnamespace || ' ', '')
  || 'on ' || defaclobjtype::text, defaclacl::text
from pg_default_acl where defaclrole in (select oid from role) or defaclnamespace in (select oid from space)
union all
select 'role ' || rolname, 'powers', concat_ws(' ', case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypassrls' end,
  case when rolcreaterole then 'createrole' end, case when rolcreatedb then 'createdb' end,
  case when rolreplication then 'replication' end, case when rolinherit then 'inherit' else 'noinherit' end) from role
union all
select 'role ' || r.rolname, 'member of ' || m.roleid::regrole, 'yes' from pg_auth_members m join role r on r.oid = m.member
order by 1, 2

-- name: release
-- What the last migration brought the database to.
select revision, oldest, format, facts::text from migration.release

-- name: record_release
-- Keeps what the database was brought to, for code of the release before.
insert into migration.release (singleton, revision, oldest, format, facts) values (true, $1, $2, $3, $4::jsonb)
on conflict (singleton) do update
set revision = excluded.revision, oldest = excluded.oldest, format = excluded.format, facts = excluded.facts
