-- Who stands behind a principal, and what two people must ask for.

-- Everybody who stands behind what a principal did since a moment. Behind a key stands who owns it, behind a source who answers for
-- it. Behind a user stands whoever could act as it: the administrator who made it, or the last link of whom set its password, until
-- another administrator vouches for it. Who stood there at that moment or later does so for good; since 'infinity', who does so now.
-- With the maker of a user comes who stood behind the maker since then, and may have been who made it.
-- Two principals are one person when somebody stands behind both.
create or replace function identity.behind(tenant uuid, principal uuid, since timestamptz) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  with recursive hand (id, since) as (
    select $2, $3 where $2 is not null
    union
    select p.person, least(h.since, (select u.created_at from identity."user" u where u.tenant_id = $1 and u.id = h.id))
    from hand h cross join lateral (
      select k.owner_id as person from identity.api_key k where k.tenant_id = $1 and k.id = h.id
      union all
      select s.responsible_id from sources.source s where s.tenant_id = $1 and s.id = h.id
      union all
      select u.credentials_of from identity."user" u where u.tenant_id = $1 and u.id = h.id
      union all
      select e.person_id from identity.ended_hand e where e.tenant_id = $1 and e.principal_id = h.id and e.counts_until >= h.since
    ) p where p.person is not null
  )
  select coalesce(array_agg(distinct h.id), '{}') from hand h;
end;

-- Whoever adds a user stands behind it, whether or not the process that adds it says so. Nobody does whom the operator or the tenant's
-- provider adds.
create or replace function identity.note_maker() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  new.credentials_of := coalesce(new.credentials_of, identity.acting_user());
  return new;
end
$$;

create or replace trigger note_maker before insert on identity."user" for each row execute function identity.note_maker();

-- Keeps until when somebody could act as a user, or owned a key; two minutes longer, since a request that was let in before may still
-- be under way.
create or replace function identity.note_ended_hand() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into identity.ended_hand (tenant_id, principal_id, person_id, counts_until)
  values (old.tenant_id, old.id, (to_jsonb(old) ->> tg_argv[0])::uuid, clock_timestamp() + interval '2 minutes')
  on conflict do nothing;
  return null;
end
$$;

create or replace trigger note_ended_hand after update of credentials_of on identity."user"
  for each row when (old.credentials_of is distinct from new.credentials_of and old.credentials_of is not null)
  execute function identity.note_ended_hand('credentials_of');
create or replace trigger note_ended_hand after update of owner_id on identity.api_key
  for each row when (old.owner_id is distinct from new.owner_id and old.owner_id is not null)
  execute function identity.note_ended_hand('owner_id');

-- The user who acts: the caller itself, the owner of the calling key, or who answers for the source that runs.
create or replace function identity.acting_user() returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(
    (select k.owner_id from identity.api_key k where k.tenant_id = (select tenancy.tenant_id()) and k.id = (select tenancy.principal_id())),
    (select u.id from identity."user" u where u.tenant_id = (select tenancy.tenant_id()) and u.id = (select tenancy.principal_id())),
    (select s.responsible_id from sources.source s
      where s.tenant_id = (select tenancy.tenant_id()) and s.id = (select tenancy.principal_id())));
end;

-- The user who acts, and everybody who may act as that user.
create or replace function identity.behind_acting_user() returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select identity.behind((select tenancy.tenant_id()), identity.acting_user(), 'infinity');
end;

-- The roles of the user who acts, and of everybody who may act as that user.
create or replace function identity.roles_of_acting_user() returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select distinct r.role from identity.user_role r
  where r.tenant_id = (select tenancy.tenant_id()) and r.user_id = any ((select identity.behind_acting_user())::uuid[]);
end;

-- The one rule of four eyes: whether the caller may do the second part of an act that asks for two people, of which somebody else
-- did the first at some moment. The second is a user and no key, and another person than the first. Behind what a source did stands
-- everybody who ever made or changed it, also after somebody else did, and after it was deleted.
create or replace function identity.is_second_person(act text, first uuid, since timestamptz) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (select from identity.joint_act a where a.act = $1)
    and $2 is not null and $3 is not null
    and coalesce((select tenancy.context() ->> 'kind') = 'user', false)
    and not identity.behind((select tenancy.tenant_id()), $2, $3) && caller.hands
    and not exists (select from sources.keeper k
      where k.tenant_id = (select tenancy.tenant_id()) and k.source_id = $2
        and identity.behind(k.tenant_id, k.user_id, 'infinity') && caller.hands)
  from (select identity.behind((select tenancy.tenant_id()), (select tenancy.principal_id()), now()) as hands) caller;
end;

-- The same of what was done at an unknown moment: whoever ever stood behind the first counts. Processes that are not
-- replaced yet ask so. It goes with the next release.
create or replace function identity.is_second_person(act text, first uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select identity.is_second_person($1, $2, '-infinity');
end;

-- Whether the caller controls a principal: it is the same person, or knows a live secret of the key.
create or replace function identity.is_controlled(principal uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (
    select from (
      select $1 as id
      union all
      select s.made_by from identity.api_key_secret s
      where s.tenant_id = (select tenancy.tenant_id()) and s.key_id = $1 and s.expires_at > now()
    ) knows
    where identity.behind((select tenancy.tenant_id()), knows.id, 'infinity')
      && identity.behind((select tenancy.tenant_id()), (select tenancy.principal_id()), 'infinity'));
end;

-- The calling administrator says that a user is a person of its own: that the user has told it to have chosen the password itself, with
-- nobody else knowing it. It is another person than whoever could act as the user until now, and stands with its name for that.
-- Secrets of keys that were made as this user end: who could act as it may have kept them.
create or replace function identity.vouch_for(person uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update identity."user" u set credentials_of = null
  where u.tenant_id = tenancy.tenant_id() and u.id = person and u.status = 'active' and u.credentials_of is not null
    and tenancy.has_permission('users:manage') and identity.is_second_person('user:vouch', u.id, now())
    and exists (select from identity.password p where p.tenant_id = u.tenant_id and p.user_id = u.id and p.chosen);
  if not found then
    return false;
  end if;
  update identity.api_key_secret s set expires_at = now()
  where s.tenant_id = tenancy.tenant_id() and s.made_by = person and s.expires_at > now();
  return true;
end
$$;

-- Whether the caller may ask for an act of two people: it has the permission that the act itself takes. A version is also retired at
-- the word of whoever writes its collection, which a reviewer then joins. Nobody asks for an act that does not stand here.
create or replace function identity.may_ask(act text, target uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when $1 = 'version:retire' then exists (select from documents.version v
      where v.tenant_id = (select tenancy.tenant_id()) and v.id = $2
        and ((select tenancy.has_permission('documents:review')) and v.collection_id = any ((select tenancy.readable_collections())::uuid[])
          or (select tenancy.has_permission('documents:write')) and v.collection_id = any ((select tenancy.writable_collections())::uuid[])))
    when $1 = 'hold:release' then (select tenancy.has_permission('audit:export'))
    when $1 in ('collection:relax', 'evaluation:relax', 'support:relax') then (select tenancy.has_permission('collections:manage'))
    when $1 in ('second_factor:remove', 'second_factor:waive') then (select tenancy.has_permission('users:manage'))
    else false end;
end;

-- Asks for an act in the caller's name. A source asks that a version be retired, which a person then joins. The state is 'joined'
-- when another person has asked for the same within a week: then the act may be done as it was asked for, in this transaction and by
-- this caller. Else it is 'asked', or 'waiting' when the same person asked before.
create or replace function identity.ask_jointly(act text, target uuid, change jsonb, new_request uuid)
returns table (state text, request uuid, asked_by uuid)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := tenancy.tenant_id();
  caller uuid := tenancy.principal_id();
begin
  if tenancy.context() ->> 'kind' is distinct from 'user'
    and not (tenancy.context() ->> 'kind' = 'source' and ask_jointly.act = 'version:retire')
  then
    raise exception 'two people are needed, and a key is none' using errcode = 'insufficient_privilege';
  end if;
  if not identity.may_ask(ask_jointly.act, ask_jointly.target) then
    raise exception 'who may not do this asks nobody to join it' using errcode = 'insufficient_privilege';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(tenant || ask_jointly.act || ask_jointly.target, 0));
  select r.id, r.asked_by, case when identity.is_second_person(r.act, r.asked_by, r.asked_at) then 'joined' else 'waiting' end
  into request, asked_by, state
  from identity.joint_request r
  where r.tenant_id = tenant and r.act = ask_jointly.act and r.target = ask_jointly.target and r.change = ask_jointly.change
    and r.joined_at is null and r.withdrawn_at is null and r.asked_at > now() - interval '7 days'
  order by identity.is_second_person(r.act, r.asked_by, r.asked_at) desc, r.asked_at limit 1;
  if state = 'joined' then
    update identity.joint_request r set joined_by = caller, joined_at = now(), joined_in = pg_current_xact_id()::text
    where r.tenant_id = tenant and r.id = request;
  elsif state is null then
    insert into identity.joint_request (tenant_id, id, act, target, change, asked_by)
    values (tenant, new_request, ask_jointly.act, ask_jointly.target, ask_jointly.change, caller);
    state := 'asked';
    request := new_request;
    asked_by := caller;
  end if;
  return next;
end
$$;

-- The changes that another person asked for and the caller has joined in this transaction. Whoever guards an act compares what is
-- done with each of them: two people wanted that change, and no other.
create or replace function identity.joined_changes(act text, target uuid) returns setof jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.change from identity.joint_request r
  where r.tenant_id = (select tenancy.tenant_id()) and r.act = $1 and r.target = $2
    and r.joined_by = (select tenancy.principal_id()) and r.joined_in = pg_current_xact_id()::text;
end;

-- Whether the caller has joined another person's request for an act that its target says all about. A request that names a change
-- is none of these: its guard reads what was joined.
create or replace function identity.has_joined(act text, target uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (select from identity.joined_changes($1, $2) as joined (change) where joined.change = '{}');
end;

-- The collections that are granted to a user or to one of its roles.
create or replace function identity.granted(tenant uuid, person uuid, access text) returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select g.collection_id from identity.collection_grant g
  where g.tenant_id = $1 and g.access = $3
    and (g.principal_id = $2 or g.role in (select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = $2));
end;

-- The collections that a user may read or write. While somebody else may act as it, it reads nothing that this person may not read.
create or replace function identity.granted_to(tenant uuid, person uuid, access text) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select array(
    select distinct own.collection from identity.granted($1, $2, $3) as own (collection)
    where not exists (select from unnest(identity.behind($1, $2, 'infinity')) as other (id)
      where other.id <> $2 and own.collection not in (select identity.granted($1, other.id, 'read'))));
end;

-- What the calling user may read at most, while somebody else may act as it.
create or replace function identity.read_by_all_behind_it() returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select identity.granted_to(u.tenant_id, u.id, 'read') from identity."user" u
  where u.tenant_id = (select tenancy.tenant_id()) and u.id = (select tenancy.principal_id()) and u.credentials_of is not null;
end;

-- The same, by the name under which processes that are not replaced yet call it at each request. It goes with the next release.
create or replace function identity.read_by_who_knows_its_password() returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select identity.read_by_all_behind_it();
end;

-- Gives a live key to somebody else, who acts with it from then on. Only another person than its present owner does that. What
-- another person granted it beyond its owner's rights goes, since it was granted to the owner of that time. So do its secrets, all of
-- them: the owner before knows them, and would act as the new one. The new owner rotates it.
create or replace function identity.hand_over_key(key uuid, new_owner uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update identity.api_key k set owner_id = new_owner, suspended_at = null, handed_over_by = tenancy.principal_id(), handed_over_at = now()
  where k.tenant_id = tenancy.tenant_id() and k.id = key and k.revoked_at is null and tenancy.has_permission('keys:manage')
    and identity.is_second_person('key:hand_over', k.owner_id, now())
    and exists (select from identity."user" u where u.tenant_id = k.tenant_id and u.id = new_owner and u.status = 'active');
  if not found then
    return false;
  end if;
  update identity.collection_grant g set beyond_owner = false where g.tenant_id = tenancy.tenant_id() and g.principal_id = key;
  update identity.api_key_secret s set expires_at = now() where s.tenant_id = tenancy.tenant_id() and s.key_id = key and s.expires_at > now();
  return true;
end
$$;

-- Who is disabled or deleted is signed out for good, its keys wait for somebody who takes them over, and links that set its password
-- are spent. Again when it is enabled: a sign-in that went on at the same moment does not come back to life. Nobody disables or enables
-- itself, nor who may act as it.
create or replace function identity.end_what_a_user_opened() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if new.id = any (identity.behind_acting_user()) then
    raise exception 'nobody disables or enables itself' using errcode = 'insufficient_privilege';
  end if;
  update identity.session s set revoked_at = now(), revoked_reason = 'user ' || new.status
  where s.tenant_id = new.tenant_id and s.user_id = new.id and s.revoked_at is null;
  update identity.api_key k set suspended_at = now()
  where k.tenant_id = new.tenant_id and k.owner_id = new.id and k.suspended_at is null;
  update identity.password_reset r set used_at = now()
  where r.tenant_id = new.tenant_id and r.user_id = new.id and r.used_at is null;
  return null;
end
$$;

create or replace trigger end_what_a_user_opened after update of status on identity."user"
  for each row when (old.status <> new.status) execute function identity.end_what_a_user_opened();

-- Who stands behind a principal is looked up by its id alone, and what is a principal's own is told by it: one that is a key's, a
-- source's or a provider's, and a user's as well, would let somebody pass for somebody else. An id that was a source's stays taken.
create or replace function identity.refuse_taken_id() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('principal ' || new.tenant_id || new.id, 0));
  if tg_relid <> 'identity."user"'::regclass and exists (select from identity."user" u where u.tenant_id = new.tenant_id and u.id = new.id)
    or tg_relid <> 'identity.api_key'::regclass and exists (select from identity.api_key k where k.tenant_id = new.tenant_id and k.id = new.id)
    or tg_relid <> 'sources.source'::regclass and exists (select from sources.source s where s.tenant_id = new.tenant_id and s.id = new.id)
    or tg_relid <> 'identity.issuer'::regclass and exists (select from identity.issuer i where i.tenant_id = new.tenant_id and i.id = new.id)
    or exists (select from sources.keeper k where k.tenant_id = new.tenant_id and k.source_id = new.id)
  then
    raise exception 'the id is that of another principal' using errcode = 'unique_violation', constraint = 'principal_id';
  end if;
  return new;
end
$$;

create or replace trigger refuse_taken_id before insert on identity."user" for each row execute function identity.refuse_taken_id();
create or replace trigger refuse_taken_id before insert on identity.api_key for each row execute function identity.refuse_taken_id();
create or replace trigger refuse_taken_id before insert on identity.issuer for each row execute function identity.refuse_taken_id();

-- Forgets a user who has no roles any more, and is neither who acts nor may act as it: its name becomes free, its keys end, and nothing
-- signs it in. The row stays, since documents and the log name it. Who knew its password stays on record: nobody becomes a stranger to
-- what it did under that name.
create or replace function identity.delete_user(deleted uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := tenancy.tenant_id();
begin
  update identity."user" u set username = 'deleted-' || u.id, status = 'deleted'
  where u.tenant_id = tenant and u.id = deleted and u.status <> 'deleted' and tenancy.has_permission('users:manage')
    and u.id <> all (identity.behind_acting_user())
    and not exists (select from identity.user_role r where r.tenant_id = tenant and r.user_id = deleted);
  if not found then
    return false;
  end if;
  update identity.api_key k set revoked_at = now() where k.tenant_id = tenant and k.owner_id = deleted and k.revoked_at is null;
  delete from identity.password p where p.tenant_id = tenant and p.user_id = deleted;
  delete from identity.second_factor f where f.tenant_id = tenant and f.user_id = deleted;
  delete from identity.external_identity e where e.tenant_id = tenant and e.user_id = deleted;
  delete from identity.password_reset e where e.tenant_id = tenant and e.user_id = deleted;
  return true;
end
$$;

grant execute on function identity.acting_user(), identity.behind_acting_user(), identity.roles_of_acting_user(),
  identity.is_second_person(text, uuid, timestamptz), identity.is_second_person(text, uuid), identity.vouch_for(uuid),
  identity.is_controlled(uuid), identity.ask_jointly(text, uuid, jsonb, uuid), identity.has_joined(text, uuid),
  identity.joined_changes(text, uuid),
  identity.read_by_all_behind_it(), identity.read_by_who_knows_its_password(), identity.hand_over_key(uuid, uuid), identity.delete_user(uuid) to affidavit_runtime;
-- Nothing here is granted to anyone else.
