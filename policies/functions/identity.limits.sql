-- Counts of requests, of attempts to sign in, and of what was asked of models.

-- Counts of a window that has moved on by some slots, with one more in the newest.
create or replace function identity.slid(slots integer[], moved bigint, kept integer) returns integer[]
language sql immutable
return (
  select array[coalesce(s[1], 0) + 1] || s[2:kept]
  from (select (array_fill(0, array[least(moved, kept)::integer]) || slots || array_fill(0, array[kept]))[1:kept] as s) moved_on);

-- Counts a request against a limit of so many seconds. Below a day the window slides, in sixtieths of it, and is never shorter
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

-- A sign-in that succeeds does not count. Only sign-ins are given back, so that nobody works off its own limit. Rows are locked in
-- the order in which the subjects stand, which is that in which they were counted: otherwise two sign-ins wait for each other.
create or replace function identity.forgive_sign_in(subjects text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  counted text;
  newest integer;
  known identity.request_count;
begin
  foreach counted in array subjects loop
    for known in
      select * from identity.request_count k
      where k.tenant_id = tenancy.tenant_id() and k.subject = counted and k.subject like 'sign\_in:%'
      order by k.seconds for update
    loop
      newest := (select min(i) from generate_subscripts(known.slots, 1) i where known.slots[i] > 0);
      update identity.request_count k
      set requests = greatest(k.requests - 1, 0), slots = k.slots[:newest - 1] || k.slots[newest] - 1 || k.slots[newest + 1:]
      where k.tenant_id = known.tenant_id and k.subject = known.subject and k.seconds = known.seconds and newest is not null;
    end loop;
  end loop;
end
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

-- Reserves what the calling key is about to ask of a model, at most. Names the budget that has no room for it, and then reserves
-- nothing. The key's row is locked until the transaction ends: two requests never take the same room. A cost of null means that
-- the model has no price, which no budget of money has room for.
create or replace function identity.reserve_usage(reservation uuid, tokens bigint, cost bigint)
returns table (budget text, used bigint, most bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  today date := (now() at time zone 'UTC')::date;
  month date := date_trunc('month', today)::date;
  key identity.api_key;
  spent record;
begin
  select * into key from identity.api_key k
  where k.tenant_id = tenancy.tenant_id() and k.id = tenancy.principal_id()
    and num_nonnulls(k.tokens_per_day, k.tokens_per_month, k.cost_per_day_micros, k.cost_per_month_micros) > 0
  for no key update;
  if key.id is null then
    return;
  end if;
  delete from identity.usage_reservation r where r.tenant_id = key.tenant_id and r.key_id = key.id and r.day < month;
  select coalesce(sum(a.tokens) filter (where a.day = today), 0) as tokens_day, coalesce(sum(a.tokens), 0) as tokens_month,
    coalesce(sum(a.cost) filter (where a.day = today), 0) as cost_day, coalesce(sum(a.cost), 0) as cost_month
  into spent
  from (
    select u.day, u.prompt_tokens + u.completion_tokens as tokens, u.cost_micros as cost from identity.usage u
    where u.tenant_id = key.tenant_id and u.principal_id = key.id and u.day >= month
    union all
    select r.day, r.tokens, r.cost_micros from identity.usage_reservation r
    where r.tenant_id = key.tenant_id and r.key_id = key.id and r.day >= month
  ) a;
  return query
    select b.budget, b.used::bigint, b.most
    from (values
      ('tokens_day', spent.tokens_day, reserve_usage.tokens, key.tokens_per_day),
      ('tokens_month', spent.tokens_month, reserve_usage.tokens, key.tokens_per_month),
      ('cost_day', spent.cost_day, reserve_usage.cost, key.cost_per_day_micros),
      ('cost_month', spent.cost_month, reserve_usage.cost, key.cost_per_month_micros)) as b (budget, used, asked, most)
    where b.most is not null and coalesce(b.used + b.asked > b.most, true)
    order by b.budget like '%\_day', b.budget limit 1;  -- the one that is renewed last
  if not found then
    insert into identity.usage_reservation (tenant_id, id, key_id, tokens, cost_micros)
    values (key.tenant_id, reservation, key.id, reserve_usage.tokens, coalesce(reserve_usage.cost, 0));
  end if;
end
$$;

-- Ends a reservation of the calling key, in the transaction that counts what was used.
create or replace function identity.settle_usage(reservation uuid) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from identity.usage_reservation r
  where r.tenant_id = (select tenancy.tenant_id()) and r.key_id = (select tenancy.principal_id()) and r.id = $1;
end;

grant execute on function identity.count_request(text, integer), identity.forgive_sign_in(text[]),
  identity.count_usage(text, text, bigint, bigint, bigint), identity.reserve_usage(uuid, bigint, bigint),
  identity.settle_usage(uuid) to affidavit_runtime;
-- Nothing here is granted to anyone else.
