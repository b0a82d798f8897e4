-- Prepares a PostgreSQL >= 16 for Affidavit: roles, database, extension. Run once by a superuser with psql:
--   AFFIDAVIT_OWNER_PASSWORD=… AFFIDAVIT_RUNTIME_PASSWORD=… AFFIDAVIT_SEALER_PASSWORD=… AFFIDAVIT_OPERATOR_PASSWORD=… \
--     psql --no-psqlrc --set ON_ERROR_STOP=1 --file infra/roles.sql <superuser URL of any database>
-- Running it again changes passwords and settings and keeps all data.
\set ON_ERROR_STOP 1
\getenv owner_password AFFIDAVIT_OWNER_PASSWORD
\getenv runtime_password AFFIDAVIT_RUNTIME_PASSWORD
\getenv sealer_password AFFIDAVIT_SEALER_PASSWORD
\getenv operator_password AFFIDAVIT_OPERATOR_PASSWORD
\if :{?owner_password} \else
  do $$ begin raise exception 'set AFFIDAVIT_OWNER_PASSWORD'; end $$;
\endif
\if :{?runtime_password} \else
  do $$ begin raise exception 'set AFFIDAVIT_RUNTIME_PASSWORD'; end $$;
\endif
\if :{?sealer_password} \else
  do $$ begin raise exception 'set AFFIDAVIT_SEALER_PASSWORD'; end $$;
\endif
\if :{?operator_password} \else
  do $$ begin raise exception 'set AFFIDAVIT_OPERATOR_PASSWORD'; end $$;
\endif
\set database affidavit
\getenv database AFFIDAVIT_DATABASE_NAME

-- Passwords are hashed by the server; keep them out of its log.
set password_encryption = 'scram-sha-256';
set log_statement = 'none';
set log_min_error_statement = 'panic';

select format('create role %I login', role)
from unnest(array['affidavit_owner', 'affidavit_runtime', 'affidavit_sealer', 'affidavit_operator']) as role
where not exists (select from pg_roles where rolname = role) \gexec

-- The owner migrates and never serves; the runtime role serves and owns nothing; the sealer seals;
-- the operator's role serves the routes that create, suspend and delete tenants, and reads nothing of theirs.
alter role affidavit_owner nosuperuser nobypassrls nocreaterole nocreatedb noreplication inherit password :'owner_password';
alter role affidavit_runtime nosuperuser nobypassrls nocreaterole nocreatedb noreplication noinherit password :'runtime_password';
alter role affidavit_sealer nosuperuser nobypassrls nocreaterole nocreatedb noreplication noinherit password :'sealer_password';
alter role affidavit_operator nosuperuser nobypassrls nocreaterole nocreatedb noreplication noinherit password :'operator_password';

select format('create database %I owner affidavit_owner template template0 encoding ''UTF8'' locale ''C''', :'database')
where not exists (select from pg_database where datname = :'database') \gexec

revoke all on database :"database" from public;
grant connect on database :"database" to affidavit_runtime, affidavit_sealer, affidavit_operator;

-- Every role may change its own defaults, and so may SQL that somebody injects: start from none.
select format('alter role %I%s reset all', r.rolname, ' in database ' || quote_ident(d.datname))
from pg_roles r cross join (select datname from pg_database union all select null) d
where r.rolname in ('affidavit_runtime', 'affidavit_sealer', 'affidavit_operator') and (d.datname is null or exists (
  select from pg_db_role_setting s join pg_database b on b.oid = s.setdatabase where s.setrole = r.oid and b.datname = d.datname)) \gexec
-- force_custom_plan: a generic plan knows neither the tenant nor its partition (54 ms of planning on 512 partitions).
alter role affidavit_runtime set plan_cache_mode = 'force_custom_plan';
alter role affidavit_runtime set statement_timeout = '30s';
alter role affidavit_runtime set lock_timeout = '5s';
alter role affidavit_runtime set idle_in_transaction_session_timeout = '30s';
alter role affidavit_runtime set jit = off;
alter role affidavit_runtime set search_path = pg_catalog, public;
alter role affidavit_sealer set statement_timeout = '60s';
alter role affidavit_sealer set lock_timeout = '5s';
alter role affidavit_sealer set idle_in_transaction_session_timeout = '30s';
alter role affidavit_sealer set search_path = pg_catalog, public;
alter role affidavit_operator set statement_timeout = '30s';
alter role affidavit_operator set lock_timeout = '5s';
alter role affidavit_operator set idle_in_transaction_session_timeout = '30s';
alter role affidavit_operator set search_path = pg_catalog, public;

\connect :"database"
revoke all on schema public from public;
grant usage on schema public to affidavit_owner, affidavit_runtime, affidavit_sealer, affidavit_operator;
create extension if not exists vector schema public;

-- What PostgreSQL gives to everyone, and a tenant's injected SQL could use to watch or disturb others:
-- other sessions, their locks and statistics (pg_stat_*, pg_locks), cancelling them, large objects, writing to the WAL, and
-- which rows of others were changed, whatever their policies are (currtid2, multixacts, summaries of the WAL).
-- A managed server may not let its administrator revoke these; PostgreSQL then warns, and `affidavit doctor` reports it.
select format('revoke execute on function %s from public', p.oid::regprocedure)
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and (p.proname like 'pg\_stat\_get\_%' or p.proname like 'lo\_%'
    or p.proname in ('loread', 'lowrite', 'pg_lock_status', 'pg_blocking_pids', 'pg_cancel_backend', 'pg_terminate_backend',
      'pg_logical_emit_message', 'pg_notification_queue_usage', 'currtid2', 'pg_get_multixact_members', 'pg_wal_summary_contents')) \gexec
select format('grant execute on function %s to pg_monitor', p.oid::regprocedure)
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and (p.proname like 'pg\_stat\_get\_%' or p.proname in ('pg_lock_status', 'pg_blocking_pids')) \gexec

-- No cheap functions. PostgreSQL asks a caller's condition before those of a policy when it believes that the condition leaks nothing
-- and costs less than ten operators. It then runs on rows of anybody: a sub-select that raises, or that EXPLAIN ANALYZE shows as never
-- executed, tells whether one met the condition. Nor is that belief always right: PostgreSQL does not look at the operator of
-- CASE x WHEN y, nor at the casts of array elements, whose errors repeat the value. So no function stays cheap, whatever is believed of it.
-- Twenty would do, since a comparison with an array of one element counts half. To look into jsonb by subscripts costs nothing at all, and
-- the service never does. Each database has its own functions, and an upgrade of PostgreSQL or of an extension brings cheap ones: run this
-- again after it. On a managed server that allows neither, PostgreSQL warns here, and the service starts only with
-- AFFIDAVIT_ACCEPT_CONDITIONS_BEFORE_POLICIES (policies/README.md, "What PostgreSQL shows").
do $$
declare
  item record;
begin
  for item in select oid::regprocedure as function from pg_proc where procost < 20 and prokind <> 'a' loop
    execute format('alter routine %s cost 25', item.function);
  end loop;
  alter type pg_catalog.jsonb set (subscript = none);
exception when insufficient_privilege then
  raise warning 'conditions may run before policies: only a superuser can change the cost of functions';
end
$$;

-- No anonymous code: DO would let injected SQL loop and swallow errors.
revoke usage on language plpgsql from public;
grant usage on language plpgsql to affidavit_owner;

-- DROP OWNED BY itself would take a role out of every policy; nobody but the owner and superusers changes definitions.
create schema if not exists guard;
create or replace function guard.refuse_definitions() returns event_trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if current_user in ('affidavit_runtime', 'affidavit_sealer', 'affidavit_operator') then
    raise exception 'this role changes no definitions' using errcode = 'insufficient_privilege';
  end if;
end
$$;
revoke all on function guard.refuse_definitions() from public;
drop event trigger if exists refuse_definitions;
create event trigger refuse_definitions on ddl_command_start execute function guard.refuse_definitions();
alter event trigger refuse_definitions enable always;
