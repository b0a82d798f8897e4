-- Who stands behind sources.

-- Whoever makes or changes a source stands behind what it brings for ever; so does whoever may act as that user at the time.
create or replace function sources.note_keeper() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into sources.keeper (tenant_id, source_id, user_id)
  select new.tenant_id, new.id, p.person
  from unnest(identity.behind(new.tenant_id, new.responsible_id, now())) as p (person)
  on conflict do nothing;
  return null;
end
$$;

-- Whoever has a run go on although most of a source is gone stands behind what it then asks for.
create or replace function sources.note_who_accepts() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into sources.keeper (tenant_id, source_id, user_id)
  select new.tenant_id, new.source_id, p.person
  from unnest(identity.behind(new.tenant_id, new.asked_by, now())) as p (person)
  on conflict do nothing;
  return null;
end
$$;

create or replace trigger note_who_accepts after insert on sources.run
  for each row when (new.accept_gone and new.asked_by is not null) execute function sources.note_who_accepts();

-- A change of when a source is due next is nobody's.
create or replace trigger note_keeper
  after insert or update of name, address, options, sealed, source_type, metadata, every_minutes, daily_minute, status, responsible_id
  on sources.source for each row execute function sources.note_keeper();

create or replace trigger refuse_taken_id before insert on sources.source for each row execute function identity.refuse_taken_id();
-- Nothing here is granted to anyone.
