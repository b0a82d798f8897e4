-- The index of the log by documents and words.

-- Indexes events. What another transaction than the event's own said of it is dropped: injected SQL adds to no event.
create or replace function audit.index_events(tenants uuid[], events uuid[]) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
  with taken as (
    delete from audit.unindexed u using unnest(tenants, events) as t (tenant_id, event_id)
    where u.tenant_id = t.tenant_id and u.event_id = t.event_id
    returning u.*
  ), genuine as (
    select taken.* from taken join audit.event e using (tenant_id, xid) where e.id = taken.event_id
  ), documents as (
    insert into audit.event_document (tenant_id, doc_id, event_id, action, outcome, principal_id)
    select tenant_id, doc_id, event_id, action, outcome, principal_id from genuine cross join unnest(doc_ids) as doc_id
    on conflict do nothing
  ), words as (
    insert into audit.payload_term (tenant_id, term, event_id, name, action, outcome, principal_id)
    select tenant_id, term, event_id, p.name, action, outcome, principal_id
    from genuine join audit.payload p using (tenant_id, event_id, xid) cross join unnest(p.terms) as term
    on conflict do nothing
  )
  select count(*) from taken
$$;

-- The oldest of all tenants, for whoever runs in the background, past those that somebody else indexes just now.
create or replace function audit.index_oldest_events(most integer) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
  select audit.index_events(array_agg(tenant_id), array_agg(event_id))
  from (select tenant_id, event_id from audit.unindexed where tenant_id not in (select tenancy.not_at_home())
    order by event_id limit most for update skip locked) as oldest
$$;

-- All of the caller's tenant, before it is searched; waits for those that somebody else indexes just now. For reviewers only,
-- whom anybody else could keep waiting.
create or replace function audit.index_own_events() returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
  select audit.index_events(array_agg(tenant_id), array_agg(event_id))
  from (select tenant_id, event_id from audit.unindexed where tenant_id = (select tenancy.tenant_id())
    and (select tenancy.has_permission('audit:read')) order by event_id for update) as own
$$;

grant execute on function audit.index_oldest_events(integer) to affidavit_sealer;
grant execute on function audit.index_own_events() to affidavit_runtime;
-- Not granted to anyone: audit.index_events.
