-- The log: the ids, times and partitions of events.

-- The only reading of an envelope's time; to_char-exact text ending in Z does not depend on the session's time zone.
create or replace function audit.event_time(envelope jsonb) returns timestamptz
language sql immutable strict set search_path = pg_catalog, pg_temp
as $$ select (envelope ->> 'time')::timestamptz $$;

-- The copy that a tenant left behind in another cell is no log any more, and goes when its time of grace is over.
create or replace function audit.refuse_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' and tg_level = 'ROW' and to_jsonb(old) ? 'tenant_id' and tenancy.has_left((to_jsonb(old) ->> 'tenant_id')::uuid) then
    return old;
  end if;
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end
$$;

-- The smallest UUIDv7 of a moment (RFC 9562).
create or replace function audit.first_id_at(moment timestamptz) returns uuid
language sql stable strict set search_path = pg_catalog, pg_temp
as $$ select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- The earliest id that an event of this transaction can have. A service whose clock is a minute behind is refused all the
-- same, by the expiry of its contexts.
create or replace function audit.earliest_id() returns uuid
language sql stable
return (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 90000), 12, '0') || repeat('0', 20))::uuid;

-- A partition of its own for each month, walled like the parent. Triggers on TRUNCATE are not inherited.
create or replace function audit.create_partition(month date) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  first date := date_trunc('month', month)::date;
  name text := 'event_' || to_char(first, 'YYYY_MM');
  item name;
  low uuid := audit.first_id_at(first::timestamp at time zone 'UTC');
  high uuid := audit.first_id_at((first + interval '1 month') at time zone 'UTC');
begin
  if to_regclass('audit.' || name) is not null then
    return;
  end if;
  execute format('create table audit.%I partition of audit.event for values from (%L) to (%L)', name, low, high);
  execute format('alter table audit.%I enable row level security, force row level security', name);
  execute format('create trigger no_truncate before truncate on audit.%I execute function audit.refuse_change()', name);
  execute format('alter table audit.%I enable always trigger no_truncate', name);
  execute format('alter table audit.%I enable always trigger no_change', name);
  -- As walls.sql has it for every table: statistics span tenants.
  for item in select attname from pg_attribute
    where attrelid = format('audit.%I', name)::regclass and attnum > 0 and not attisdropped
  loop
    execute format('alter table audit.%I alter column %I set statistics 0', name, item);
  end loop;
end
$$;

-- For the sealer, which may not choose the months. Whoever writes meanwhile waits no longer than this lock is asked for.
create or replace function audit.create_coming_partitions() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s'
as $$
begin
  perform audit.create_partition((date_trunc('month', now()) + make_interval(months => n))::date)
  from generate_series(0, 3) as n;
end
$$;

grant execute on function audit.event_time(jsonb) to affidavit_runtime, affidavit_owner, affidavit_operator;
grant execute on function audit.earliest_id() to affidavit_runtime;
grant execute on function audit.create_coming_partitions() to affidavit_sealer;
-- Not granted to anyone: audit.refuse_change, audit.first_id_at, audit.create_partition.
