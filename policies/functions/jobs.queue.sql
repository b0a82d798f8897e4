-- The queue of work, handed out across tenants.

-- The only way across tenants, and open only to who can sign a worker's context; it tells ids and no content.
-- Fair: a tenant's n-th waiting job comes after every tenant's (n-1)-th, counting those that run, and among equals the
-- tenant is next that was served least recently. A job whose lease has run out waits again. `waiting` tenants have none handed
-- out: a worker keeps its last place for the others. None of `waiting_kinds` is handed out either: a worker has enough of them. Of
-- `held` tenants none of `held_kinds` is.
create or replace function jobs.lease(lease uuid, seconds double precision, waiting uuid[], waiting_kinds text[], held uuid[],
  held_kinds text[])
returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with waiting as (
    select t.tenant_id, f.id, f.place + t.running as place, t.served_at
    from (
      select j.tenant_id, count(*) filter (where j.status = 'running' and j.leased_until >= now()) as running,
        (select max(s.leased_at) from jobs.job s where s.tenant_id = j.tenant_id) as served_at
      from jobs.job j where j.status in ('queued', 'running') and j.tenant_id <> all ($3)
        and j.tenant_id not in (select tenancy.not_at_home()) group by j.tenant_id
    ) t
    cross join lateral (
      select j.id, row_number() over (order by j.id) as place from jobs.job j
      where j.tenant_id = t.tenant_id and j.status in ('queued', 'running') and j.kind <> all ($4)
        and not (j.tenant_id = any ($5) and j.kind = any ($6))
        and case j.status when 'queued' then j.run_after <= now() else j.leased_until < now() end
      order by j.id limit 32
    ) f
  ), chosen as (
    select j.tenant_id, j.id
    from waiting w join jobs.job j on j.tenant_id = w.tenant_id and j.id = w.id
    where (select tenancy.presented('worker')) is not null
      and case j.status when 'queued' then j.run_after <= now() when 'running' then j.leased_until < now() end
    order by w.place, w.served_at nulls first, j.id
    limit 1
    for update of j skip locked
  )
  update jobs.job j
  set status = 'running', attempts = j.attempts + 1, lease_id = $1, leased_at = clock_timestamp(),
    leased_until = clock_timestamp() + make_interval(secs => $2)
  from chosen c
  where j.tenant_id = c.tenant_id and j.id = c.id
  returning j.tenant_id, j.id, j.kind, j.requested_by, j.request_id, j.on_behalf_of, j.attempts
$$;

-- As workers of the releases before call it.
create or replace function jobs.lease(lease uuid, seconds double precision, waiting uuid[], waiting_kinds text[])
returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select * from jobs.lease($1, $2, $3, $4, '{}', '{}')
$$;

create or replace function jobs.lease(lease uuid, seconds double precision)
returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select * from jobs.lease($1, $2, '{}', '{}')
$$;

-- A failed job that nobody tried again in time is handed out once more, to be ended for good.
create or replace function jobs.lease_expired(lease uuid, seconds double precision, retention interval)
returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer,
  error_code text, error_detail text)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with chosen as (
    select j.tenant_id, j.id from jobs.job j
    where (select tenancy.presented('worker')) is not null and j.retryable and j.ended_at < now() - retention
      and j.tenant_id not in (select tenancy.not_at_home())
    order by j.ended_at limit 1
    for update of j skip locked
  )
  update jobs.job j
  set status = 'running', retryable = false, finished_at = null, attempts = j.attempts + 1, lease_id = $1,
    leased_at = clock_timestamp(), leased_until = clock_timestamp() + make_interval(secs => $2)
  from chosen c
  where j.tenant_id = c.tenant_id and j.id = c.id
  returning j.tenant_id, j.id, j.kind, j.requested_by, j.request_id, j.on_behalf_of, j.attempts, j.error_code, j.error_detail
$$;

-- Forgets jobs that ended long ago, a thousand at a time; says how many those were.
create or replace function jobs.forget(retention interval) returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with ended as (
    select j.tenant_id, j.id from jobs.job j
    where (select tenancy.presented('worker')) is not null and j.ended_at < now() - retention and not j.retryable
      and j.tenant_id not in (select tenancy.not_at_home())
    order by j.ended_at limit 1000
    for update of j skip locked
  ), forgotten as (
    delete from jobs.job j using ended e where j.tenant_id = e.tenant_id and j.id = e.id returning j.id
  )
  select count(*) from forgotten
$$;

-- How many jobs of a kind the bound tenant has that have not ended, counted no further than `most`: who asks for one sees its own.
create or replace function jobs.unfinished(kind text, most integer) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select count(*) from (
    select from jobs.job j
    where j.tenant_id = (select tenancy.tenant_id()) and j.status in ('queued', 'running') and j.kind = $1
    limit least($2, 100000)
  ) j
$$;

grant execute on function jobs.unfinished(text, integer),
  jobs.lease(uuid, double precision, uuid[], text[], uuid[], text[]),
  jobs.lease(uuid, double precision, uuid[], text[]), jobs.lease(uuid, double precision),
  jobs.lease_expired(uuid, double precision, interval), jobs.forget(interval) to affidavit_runtime;
-- Nothing here is granted to anyone else.
