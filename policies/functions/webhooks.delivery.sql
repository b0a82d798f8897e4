-- What a worker is handed that tells a tenant's endpoints what happened: the endpoint, its secrets, and what the sealed log says.

-- The only way across tenants, and open only to who can sign a worker's context; it tells ids and no content. Next is the endpoint
-- that was served least recently, of a tenant that is not busy, if there is something to read or to send, or nobody looked for
-- half a minute. One that was just served waits for a pause. One that nobody looked after for a day is not known to have failed
-- meanwhile: from when on it fails is counted anew.
create or replace function webhooks.lease(lease uuid, seconds double precision, pause double precision, busy uuid[])
returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with chosen as (
    select e.tenant_id, e.id from webhooks.endpoint e
    where (select tenancy.presented('worker')) is not null
      and e.status = 'enabled' and e.tenant_id <> all ($4)
      and (e.leased_until is null or e.leased_until < clock_timestamp())
      and (e.served_at is null or e.served_at < clock_timestamp() - make_interval(secs => $3))
      and exists (select from tenancy.tenant t where t.id = e.tenant_id and t.status = 'active')
      and e.tenant_id not in (select tenancy.not_at_home())
      and (e.served_at is null or e.served_at < clock_timestamp() - interval '30 seconds'
        or exists (select from audit.log l where l.tenant_id = e.tenant_id and l.size > e.position)
        or exists (select from webhooks.delivery d
          where d.tenant_id = e.tenant_id and d.endpoint_id = e.id and d.next_attempt_at <= clock_timestamp()))
    order by e.served_at nulls first limit 1
    for update of e skip locked
  )
  update webhooks.endpoint e
  set lease_id = $1, leased_until = clock_timestamp() + make_interval(secs => $2), served_at = clock_timestamp(),
    failing_since = case when e.served_at < clock_timestamp() - interval '1 day' then null else e.failing_since end
  from chosen c
  where e.tenant_id = c.tenant_id and e.id = c.id
  returning e.tenant_id, e.id
$$;

-- For how many seconds the delivery has been due that waits longest, of all tenants.
create or replace function webhooks.longest_due() returns double precision
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select extract(epoch from clock_timestamp() - min(d.next_attempt_at))::double precision
  from webhooks.delivery d join webhooks.endpoint e on e.tenant_id = d.tenant_id and e.id = d.endpoint_id
  where (select tenancy.presented('worker')) is not null and e.status = 'enabled' and d.next_attempt_at <= clock_timestamp()
    and e.tenant_id not in (select tenancy.not_at_home())
$$;

-- The endpoint that a transaction presents its lease on, while that holds; no other session can have the same.
create or replace function webhooks.leased_endpoint() returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select e.id from webhooks.endpoint e
  where e.tenant_id = (select tenancy.tenant_id()) and e.lease_id::text = (select tenancy.presented('delivering'))
    and e.leased_until > now()
$$;

-- The secrets that sign for the endpoint that the worker has, newest first.
create or replace function webhooks.leased_secrets() returns table (id uuid, sealed bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select s.id, s.sealed from webhooks.secret s
  where s.tenant_id = (select tenancy.tenant_id()) and s.endpoint_id = (select webhooks.leased_endpoint())
    and (s.expires_at is null or s.expires_at > now())
  order by s.id desc
$$;

-- Whether a transaction may learn how far the log of its tenant is sealed, and what is told of it.
create or replace function webhooks.may_follow_log() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select tenancy.has_permission('webhooks:manage') or webhooks.leased_endpoint() is not null $$;

-- The first leaf that is not sealed yet; from a moment on, the first leaf of an event that was recorded then or later.
create or replace function webhooks.sealed_end(since timestamptz default null) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select min(l.index) from audit.leaf l
      where $1 is not null and l.tenant_id = (select tenancy.tenant_id()) and l.event_id >= (select audit.first_id_at($1))),
    (select l.size from audit.log l where l.tenant_id = (select tenancy.tenant_id())), 0)
  where (select webhooks.may_follow_log())
$$;

-- What the log tells of in so many leaves, in their order: of no action but these, and neither who did it nor any text.
create or replace function webhooks.told_events(first bigint, most integer)
returns table (place bigint, event_id uuid, action text, outcome text, occurred_at timestamptz, envelope jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select l.index, e.id, e.action, e.outcome, e.occurred_at,
    e.envelope::jsonb - '{principal,source,door,purpose,payloads,service,operator,request_id}'::text[]
  from audit.leaf l
  join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id
  where (select webhooks.leased_endpoint()) is not null
    and l.tenant_id = (select tenancy.tenant_id()) and l.index >= $1 and l.index < $1 + $2
    and e.action in ('document:approved', 'document:ingested', 'document:retired', 'erasure:executed', 'hold:placed',
      'audit:exported', 'audit:verified', 'webhook:disabled')
  order by l.index
$$;

-- How far prompts were looked at of which no answer is on record, and which those are: not further than to the first event that
-- is younger than so many seconds, since what was asked then may still be answered.
create or replace function webhooks.open_turns(first bigint, most integer, seconds double precision, out next bigint, out turns jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with looked_at as materialized (
    select l.index, l.event_id from audit.leaf l
    where (select webhooks.leased_endpoint()) is not null and l.tenant_id = (select tenancy.tenant_id())
      and l.index >= $1 and l.index < $1 + $2
  ), old_enough as (
    select l.index, l.event_id from looked_at l
    where l.index < coalesce((select min(young.index) from looked_at young
      where young.event_id >= (select audit.first_id_at(now() - make_interval(secs => $3)))), $1 + $2)
  )
  select coalesce(max(o.index) + 1, $1), coalesce(jsonb_agg(jsonb_build_array(o.index, e.id, e.occurred_at) order by o.index)
    filter (where e.id is not null), '[]')
  from old_enough o
  left join audit.event e on e.tenant_id = (select tenancy.tenant_id()) and e.id = o.event_id and e.action = 'prompt:submitted'
    and not exists (select from audit.event a where a.tenant_id = (select tenancy.tenant_id()) and a.turn = e.id
      and a.action in ('answer:returned', 'answer:refused', 'answer:aborted'))
$$;

-- The versions of a document that end where this one begins, and when.
create or replace function webhooks.superseded_by(document uuid, version integer)
returns table (number integer, effective_to timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select other.number, other.effective_to
  from documents.version own
  join documents.version other on other.tenant_id = own.tenant_id and other.document_id = own.document_id
    and other.status = 'superseded' and other.number <> own.number and other.effective_to = own.effective_from
    and other.effective_from < own.effective_from
  where (select webhooks.leased_endpoint()) is not null
    and own.tenant_id = (select tenancy.tenant_id()) and own.document_id = $1 and own.number = $2
  order by other.number
$$;

-- The turns whose answers cited a version of a document, newest first, also those that are not in the index yet.
create or replace function webhooks.citing_turns(document uuid, version integer, most integer) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with cited as (
    select d.doc_id, array(select c.id::text from documents.chunk c
      where c.tenant_id = v.tenant_id and c.version_id = v.id) as chunks
    from documents.version v join documents.document d on d.tenant_id = v.tenant_id and d.id = v.document_id
    where (select webhooks.leased_endpoint()) is not null
      and v.tenant_id = (select tenancy.tenant_id()) and v.document_id = $1 and v.number = $2
  ), about as (
    select i.event_id from audit.event_document i
    where i.tenant_id = (select tenancy.tenant_id()) and i.doc_id = (select doc_id from cited) and i.action = 'answer:returned'
    union
    select u.event_id from audit.unindexed u
    where u.tenant_id = (select tenancy.tenant_id()) and (select doc_id from cited) = any (u.doc_ids) and u.action = 'answer:returned'
  )
  select e.turn from about a
  join audit.event e on e.tenant_id = (select tenancy.tenant_id()) and e.id = a.event_id
  where e.envelope::jsonb #> '{answer,citations}' ?| (select chunks from cited)
  order by e.id desc limit $3
$$;

grant execute on function webhooks.lease(uuid, double precision, double precision, uuid[]), webhooks.longest_due(),
  webhooks.leased_endpoint(), webhooks.leased_secrets(), webhooks.sealed_end(timestamptz), webhooks.told_events(bigint, integer),
  webhooks.open_turns(bigint, integer, double precision), webhooks.superseded_by(uuid, integer),
  webhooks.citing_turns(uuid, integer, integer) to affidavit_runtime;
-- Not granted to anyone: webhooks.may_follow_log.
