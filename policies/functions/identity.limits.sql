-- Counts of requests, of attempts to sign in, and of what was asked of models.

-- Counts of a window that has moved on by some slots, with one more in the newest.
create or replace function identity.slid(slots integer[], moved bigint, kept integer) returns integer[]
language sql immutable
return (
  select array[coalesce(s[1], 0) + 1] || s[2:kept]
  from (select (array_fill(0, array[least(moved, kept)::integer]) || slots || array_fill(0, array[kept]))[1:kept] as s) moved_on);

-- than it says; a day is one of UTC. The only way to the counts: they can be raised and not lowered.
create or replace function identity.count_request(subject text, seconds integer)
returns table (requests integer, retry_after integer)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment numeric := extract(epoch from clock_timestamp());
  parts integer := case when seconds < 86400 then 60 else 1 end;
  width numeric := seconds::numeric / parts;
  this bigint := floor(moment / width);
  counted identity.request_count;
  oldest integer;
begin
  insert into identity.request_count as known (tenant_id, subject, seconds, started_at, requests, slot, slots)
  values (tenancy.tenant_id(), count_request.subject, count_request.seconds, to_timestamp(this * width), 1, this,
    array[1] || array_fill(0, array[case when parts = 1 then 0 else parts end]))
  on conflict on constraint request_count_pkey do update set started_at = excluded.started_at, slot = greatest(known.slot, excluded.slot),
    slots = identity.slid(known.slots, (greatest(excluded.slot - known.slot, 0))::bigint, case when parts = 1 then 1 else parts + 1 end);
  update identity.request_count k set requests = (select sum(n) from unnest(k.slots) n)
  where k.tenant_id = tenancy.tenant_id() and k.subject = count_request.subject and k.seconds = count_request.seconds
  returning * into counted;
  oldest := coalesce((select max(i) from generate_subscripts(counted.slots, 1) i where counted.slots[i] > 0), 1);
  requests := counted.requests;
  retry_after := least(ceil((counted.slot + cardinality(counted.slots) - oldest + 1) * width - moment), count_request.seconds)::integer;
  return next;
end
$$;

-- A sign-in that succeeds does not count. Only sign-ins are given back, so that nobody works off its own limit.
create or replace function identity.forgive_sign_in(subjects text[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update identity.request_count k
  set requests = greatest(k.requests - 1, 0), slots = k.slots[:newest.at - 1] || k.slots[newest.at] - 1 || k.slots[newest.at + 1:]
  from (select c.tenant_id, c.subject, c.seconds, min(i) as at
      from identity.request_count c cross join generate_subscripts(c.slots, 1) i
      where c.tenant_id = (select tenancy.tenant_id()) and c.subject = any ($1) and c.slots[i] > 0
      group by c.tenant_id, c.subject, c.seconds) newest
  where k.tenant_id = newest.tenant_id and k.subject = newest.subject and k.seconds = newest.seconds and k.subject like 'sign\_in:%'
$$;

-- Counts what the caller asked of a model today.
create or replace function identity.count_usage(collection text, model text, prompt bigint, completion bigint, cost bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into identity.usage as u (tenant_id, day, principal_id, collection, model, user_id, requests, prompt_tokens, completion_tokens, cost_micros)
  values ((select tenancy.tenant_id()), (now() at time zone 'UTC')::date, (select tenancy.principal_id()), $1, $2, identity.acting_user(),
    1, $3, $4, $5)
  on conflict (tenant_id, principal_id, day, collection, model) do update set requests = u.requests + 1,
    prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, completion_tokens = u.completion_tokens + excluded.completion_tokens,
    cost_micros = u.cost_micros + excluded.cost_micros;
end;

grant execute on function identity.count_request(text, integer), identity.forgive_sign_in(text[]),
  identity.count_usage(text, text, bigint, bigint, bigint) to affidavit_runtime;
-- Nothing here is granted to anyone else.
