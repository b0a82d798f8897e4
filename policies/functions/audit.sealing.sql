-- The queue of events that no log holds yet.

-- Enters an event that was written. By a trigger, so that nobody who may write an event can keep it from being sealed.
create or replace function audit.await_sealing() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into audit.unsealed (tenant_id, event_id) values (new.tenant_id, new.id);
  return null;
end
$$;

-- Marks what logical replication brings, and what the server that it comes from is therefore about to seal.
create or replace function audit.mark_received() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin new.received := true; return new; end $$;

-- Whether replication still brings what another server seals.
create or replace function audit.is_receiving() returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$ select exists (select from pg_subscription_rel where srrelid = 'audit.unsealed'::regclass) $$;

-- How many events, up to a thousand, wait to be sealed, and for how many seconds the oldest; nothing while that is less than a
-- minute, since it would tell how much all tenants record.
create or replace function audit.seal_backlog(out events bigint, out seconds integer)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with oldest as (
    select extract(epoch from clock_timestamp())::bigint
      - ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint / 1000 as seconds
    from audit.unsealed order by event_id limit 1
  )
  select (select count(*) from (select from audit.unsealed limit 1000) as waiting), seconds::integer from oldest where seconds > 60
$$;

-- Hashes of the log of all checkpoints, by which whoever may read a tenant's log proves that this one has only grown. They are of
-- hashes, or of checkpoints with a nonce, as are those that prove each of the tenant's own.
create or replace function audit.nodes_of_all(levels integer[], positions bigint[])
  returns table (level integer, "position" bigint, hash bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select n.level, n.position, n.hash from audit.node n
  join unnest(levels, positions) as w (level, position) on w.level = n.level and w.position = n.position
  where n.tenant_id = '00000000-0000-0000-0000-000000000001'
  union all
  select 0, l.index, l.hash from audit.leaf l
  where l.tenant_id = '00000000-0000-0000-0000-000000000001'
    and l.index in (select w.position from unnest(levels, positions) as w (level, position) where w.level = 0)
$$;

revoke all on function audit.await_sealing(), audit.mark_received(), audit.is_receiving(), audit.seal_backlog(),
  audit.nodes_of_all(integer[], bigint[]) from public;
grant execute on function audit.is_receiving() to affidavit_sealer;
grant execute on function audit.seal_backlog() to affidavit_runtime, affidavit_sealer;
grant execute on function audit.nodes_of_all(integer[], bigint[]) to affidavit_runtime;
-- Not granted to anyone: audit.await_sealing, audit.mark_received.
