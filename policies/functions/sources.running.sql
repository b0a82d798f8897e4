-- Which source is due, who acts when it runs, and what it proves itself with elsewhere.

-- When a source is due after a moment: so many minutes later, or at a minute of the day in UTC; never without a schedule.
create or replace function sources.next_time(every_minutes integer, daily_minute integer, since timestamptz) returns timestamptz
language sql stable
return case
  when every_minutes is not null then since + make_interval(mins => every_minutes)
  when daily_minute is not null then
    date_trunc('day', since, 'UTC') + make_interval(mins => daily_minute)
      + make_interval(hours => case when date_trunc('day', since, 'UTC') + make_interval(mins => daily_minute) > since then 0 else 24 end)
  end;

-- The only way across tenants, and open only to who can sign a worker's context; it tells ids and no content. The source is due
-- again only after its schedule, counted from now: what was missed while nobody looked is made up for once. `elsewhere` are tenants
-- of which a worker knows already that another cell works for them.
create or replace function sources.take_due(elsewhere uuid[]) returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with chosen as (
    select s.tenant_id, s.id from sources.source s
    where (select tenancy.presented('worker')) is not null
      and s.due_at <= clock_timestamp()
      and exists (select from tenancy.tenant t where t.id = s.tenant_id and t.status = 'active')
      and s.tenant_id not in (select tenancy.not_at_home()) and s.tenant_id <> all ($1)
    order by s.due_at limit 1
    for update of s skip locked
  )
  update sources.source s set next_run_at = sources.next_time(s.every_minutes, s.daily_minute, clock_timestamp())
  from chosen c
  where s.tenant_id = c.tenant_id and s.id = c.id
  returning s.tenant_id, s.id
$$;

-- As workers of the release before call it.
create or replace function sources.take_due() returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ select * from sources.take_due('{}') $$;

-- The source that a run acts as: whether it still may, and the one collection that it may write. It ends with who answers for it,
-- until somebody else does.
create or replace function sources.own_source()
returns table (tenant_slug text, tenant_status text, name text, live boolean, collection_id uuid, responsible_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select t.slug, t.status, s.name, s.status = 'enabled' and u.status = 'active', s.collection_id, s.responsible_id
  from sources.source s
  join identity."user" u on u.tenant_id = s.tenant_id and u.id = s.responsible_id
  join tenancy.tenant t on t.id = s.tenant_id
  where s.tenant_id = (select tenancy.tenant_id()) and s.id = (select tenancy.principal_id())
$$;

-- What a source proves itself with elsewhere, for a run of that source and nobody else.
create or replace function sources.own_sealed() returns bytea
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select s.sealed from sources.source s
  where s.tenant_id = (select tenancy.tenant_id()) and s.id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'source' and (select tenancy.presented('lease')) is not null
$$;

-- Forgets what earlier runs of a source told, but for the last two hundred; the log keeps their counts. For a run of that source.
create or replace function sources.forget_old_runs() returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with old as (
    select r.tenant_id, r.id from sources.run r
    where r.tenant_id = (select tenancy.tenant_id()) and r.source_id = (select tenancy.principal_id())
      and (select tenancy.context() ->> 'kind') = 'source' and (select tenancy.presented('lease')) is not null
    order by r.id desc offset 200
  ), forgotten as (
    delete from sources.run r using old o
    where r.tenant_id = o.tenant_id and r.id = o.id and r.finished_at is not null returning r.id
  )
  select count(*) from forgotten
$$;

grant execute on function sources.next_time(integer, integer, timestamptz), sources.take_due(uuid[]), sources.take_due(), sources.own_source(), sources.own_sealed(),
  sources.forget_old_runs()
  to affidavit_runtime;
-- Nothing here is granted to anyone else.
