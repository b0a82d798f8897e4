-- What keeps a collection's safeguards, and who reads it.

-- A collection asks for fewer approvals, or is less strict about personal data, only when two people want it, and only as they want
-- it: what is less strict than before is what both asked for. The operator, at the command line, is the owner.
create or replace function documents.guard_approvals() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  if current_user <> 'affidavit_owner' and not exists (
    select from identity.joined_changes('collection:relax', new.id) as joined (change)
    where (new.approval_required >= old.approval_required or joined.change -> 'approval_required' = to_jsonb(new.approval_required))
      and (new.approvers >= old.approvers or joined.change -> 'approvers' = to_jsonb(new.approvers))
      and (array_position(array['tell', 'mask', 'refuse'], new.personal_data)
          >= array_position(array['tell', 'mask', 'refuse'], old.personal_data)
        or joined.change -> 'personal_data' = to_jsonb(new.personal_data)))
  then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return new;
end
$$;

create or replace trigger guard_approvals before update on documents.collection
  for each row when (old.approval_required and (not new.approval_required or new.approvers < old.approvers)
    or old.personal_data = 'refuse' and new.personal_data <> 'refuse' or old.personal_data = 'mask' and new.personal_data = 'tell')
  execute function documents.guard_approvals();

-- Whether the caller has joined that a version ends at just this moment: the one that both asked for, or now when they named none;
-- not before it begins, and not later than it was planned to end.
create or replace function documents.ends_as_joined(version uuid, begins timestamptz, planned timestamptz, ends timestamptz)
returns boolean
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select exists (
    select from identity.joined_changes('version:retire', $1) as joined (change)
    where $4 between greatest($2, least(greatest((joined.change ->> 'effective_to')::timestamptz, now()), $3))
      and greatest($2, least(greatest(coalesce((joined.change ->> 'effective_to')::timestamptz, clock_timestamp()), now()), $3)));
end;

-- What is in force where approval is asked for ends early only when two people want it, and when they want it.
create or replace function documents.guard_retirement() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  if current_user <> 'affidavit_owner'
    and not documents.ends_as_joined(new.id, old.effective_from, old.planned_to, new.planned_to)
    and exists (select from documents.collection c where c.tenant_id = new.tenant_id and c.id = new.collection_id and c.approval_required)
  then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return new;
end
$$;

create or replace trigger guard_retirement before update on documents.version
  for each row when (new.status = 'retired' and old.status <> 'retired')
  execute function documents.guard_retirement();

-- What is or was in force where approval is asked for stays what it was: its beginning and planned end, and that it is a version
-- which was approved. Two people who retire it give it another end.
create or replace function documents.guard_plan() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from documents.collection c where c.tenant_id = new.tenant_id and c.id = new.collection_id and c.approval_required)
    and (new.effective_from <> old.effective_from or new.status not in ('approved', 'superseded', 'retired')
      or old.status = 'retired' and new.status <> 'retired'
      or old.status = 'superseded' and new.status = 'approved' and old.effective_to <= now()
      or new.planned_to is distinct from old.planned_to
        and not documents.ends_as_joined(new.id, old.effective_from, old.planned_to, new.planned_to))
  then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return new;
end
$$;

create or replace trigger guard_plan before update on documents.version
  for each row when (old.effective_from < 'infinity') execute function documents.guard_plan();

-- A version that has not begun goes one way where approval is asked for: from draft into review, and from there to approved or rejected.
-- In review it keeps its content and the end that its author asked for; it begins when the author asked for, or later where an approver
-- put it off. Without a moment asked for it begins with its last approval. At least one person has approved what begins, also where none
-- was asked for when it was written.
create or replace function documents.guard_beginning() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  allowed boolean;
begin
  if not exists (select from documents.collection c
    where c.tenant_id = new.tenant_id and c.id = new.collection_id and c.approval_required)
  then
    return new;
  end if;
  allowed := (old.status, new.status) in (('draft', 'draft'), ('draft', 'in_review'), ('in_review', 'in_review'),
    ('in_review', 'approved'), ('in_review', 'superseded'), ('in_review', 'rejected'));
  if old.status = 'in_review' then
    allowed := allowed and new.content_sha256 is not distinct from old.content_sha256 and new.takes_chunks <= old.takes_chunks
      and new.planned_to is not distinct from old.planned_to
      and (new.planned_from is not distinct from old.planned_from
        or coalesce(new.planned_from > coalesce(old.planned_from, now()) and new.planned_from < coalesce(new.planned_to, 'infinity'), false));
  end if;
  if new.status in ('approved', 'superseded') then
    allowed := allowed and (new.status = 'approved' or new.effective_to < 'infinity')
      and new.effective_from between coalesce(new.planned_from, now()) and coalesce(new.planned_from, statement_timestamp())
      and greatest(new.approvals_needed, 1) <= (select count(*) from documents.approval a
        where a.tenant_id = new.tenant_id and a.version_id = new.id and a.decision = 'approved');
  else
    allowed := allowed and new.effective_from = 'infinity';
  end if;
  if not allowed then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return new;
end
$$;

create or replace trigger guard_beginning before update on documents.version
  for each row when (old.effective_from = 'infinity') execute function documents.guard_beginning();

-- A version ends when it was planned to, or when a later one begins, and at no other moment. Asked at the end of a transaction, which
-- ends the one before first; and of every change in it, since chunks followed each.
create or replace function documents.guard_end() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from documents.collection c where c.tenant_id = new.tenant_id and c.id = new.collection_id and c.approval_required)
    and new.effective_to <> (
      select greatest(new.effective_from, least(coalesce(new.planned_to, 'infinity'), min(v.effective_from))) from documents.version v
      where v.tenant_id = new.tenant_id and v.document_id = new.document_id and v.number > new.number
        and v.effective_from < v.effective_to)
  then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return null;
end
$$;

do $$
begin
  if not exists (select from pg_trigger where tgrelid = 'documents.version'::regclass and tgname = 'guard_end') then
    create constraint trigger guard_end after update on documents.version deferrable initially deferred
      for each row when (new.effective_from < 'infinity'
        and (new.effective_from <> old.effective_from or new.effective_to <> old.effective_to))
      execute function documents.guard_end();
  end if;
end
$$;

-- Whether the caller is another person than everybody who has approved a version.
create or replace function documents.is_another_approver(version uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select not exists (select from documents.approval a
    where a.tenant_id = (select tenancy.tenant_id()) and a.version_id = $1 and a.decision = 'approved'
      and not identity.is_second_person('version:approve', a.approver_id, a.decided_at));
end;

-- Every user and key that reads or writes a collection now, for who manages collections.
create or replace function documents.readers(collection uuid)
returns table (id uuid, kind text, name text, reads boolean, writes boolean, through text[])
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select p.id, p.kind, p.name, $1 = any (p.readable), $1 = any (p.readable) and $1 = any (p.writable),
    array(select distinct coalesce(g.role, 'itself') from identity.collection_grant g
      where g.tenant_id = p.tenant_id and g.collection_id = $1
        and (g.principal_id = p.id or g.role in (select r.role from identity.user_role r where r.tenant_id = p.tenant_id and r.user_id = p.id))
      order by 1)
  from (
    select u.tenant_id, u.id, 'user' as kind, u.username as name,
      identity.granted_to(u.tenant_id, u.id, 'read') as readable, identity.granted_to(u.tenant_id, u.id, 'write') as writable
    from identity."user" u where u.tenant_id = (select tenancy.tenant_id()) and u.status = 'active'
    union all
    select k.tenant_id, k.id, 'key', k.name, c.readable, c.writable
    from identity.api_key k cross join lateral identity.key_caller(k.tenant_id, k.id) c
    where k.tenant_id = (select tenancy.tenant_id()) and c.live
  ) p
  where (select tenancy.has_permission('collections:manage')) and $1 = any (p.readable)
  order by 2 desc, 3;
end;

grant execute on function documents.is_another_approver(uuid), documents.readers(uuid),
  documents.ends_as_joined(uuid, timestamptz, timestamptz, timestamptz) to affidavit_runtime;
-- Nothing here is granted to anyone else.
