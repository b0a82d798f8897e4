-- Counts of requests and of attempts to sign in.

-- The only way to it: counts can be raised and not lowered. Windows start at multiples of their length, days in UTC.
create or replace function identity.count_request(subject text, seconds integer)
returns table (requests integer, retry_after integer)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into identity.request_count as known (tenant_id, subject, seconds, started_at, requests)
  values ((select tenancy.tenant_id()), $1, $2,
    to_timestamp(floor(extract(epoch from clock_timestamp()) / $2) * $2), 1)
  on conflict (tenant_id, subject, seconds) do update set started_at = excluded.started_at,
    requests = case when known.started_at = excluded.started_at then known.requests + 1 else 1 end
  returning requests, ceil(extract(epoch from started_at) + $2 - extract(epoch from clock_timestamp()))::integer
$$;

-- A sign-in that succeeds does not count. Only sign-ins are given back, so that nobody works off its own limit.
create or replace function identity.forgive_sign_in(subjects text[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update identity.request_count set requests = greatest(requests - 1, 0)
  where tenant_id = (select tenancy.tenant_id()) and subject = any ($1) and subject like 'sign\_in:%'
$$;

grant execute on function identity.count_request(text, integer), identity.forgive_sign_in(text[]) to affidavit_runtime;
-- Nothing here is granted to anyone else.
