-- Which collections and which versions a caller sees, and who decided on them.

-- What a transaction sees of documents is a box: of these collections, what begins no later than one moment and ends after
-- another. As conditions that all must hold, and with bounds that are computed once, they cost an index scan nothing.
create or replace function documents.sees_every_state(claims jsonb) returns boolean
language sql immutable
return claims -> 'permissions' ? 'documents:review'
  or claims -> 'permissions' ? 'documents:write' and claims -> 'presented' ->> 'writing' = 'chunks'
  or claims -> 'permissions' ? 'erasure:execute' and claims -> 'presented' ->> 'erasing' = 'documents';

-- All collections of its tenant, for a caller with erasure:execute in a transaction that erases.
create or replace function documents.erasable_collections() returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array(select id from documents.collection where tenant_id = (select tenancy.tenant_id())
    and (select tenancy.has_permission('erasure:execute')) and (select tenancy.presented('erasing')) = 'documents')
$$;

-- The collections whose chunks a transaction sees: in one that writes, those that its caller may write; else those that it may read.
create or replace function documents.visible_collections() returns uuid[]
language sql stable
return (
  select case when claims -> 'presented' ->> 'erasing' = 'documents' then documents.erasable_collections()
    when claims -> 'presented' ->> 'writing' = 'chunks' and claims -> 'permissions' ? 'documents:write'
      then tenancy.writable_collections()
    else array(select jsonb_array_elements_text(claims -> 'readable')::uuid) end
  from (select tenancy.context() as claims offset 0) bound);

-- The document of the upload that is taken back, which goes with its only file.
create or replace function documents.withdrawn_document() returns uuid
language sql stable
return case when (select tenancy.presented('withdrawing')) is not null then (
  select document_id from documents.file
  where tenant_id = (select tenancy.tenant_id()) and version_id is null and job_id::text = (select tenancy.presented('withdrawing'))
  limit 1) end;

-- The bounds of the box. Who asks for a past moment's knowledge is told by the history what was in force then, and who
-- looks for what used to apply sees what ended before the moment asked about, as it would by naming that time.
create or replace function documents.latest_start() returns timestamptz
language sql stable
return (
  select case when documents.sees_every_state(claims) or claims ? 'known_at' then 'infinity'::timestamptz
    else coalesce((claims ->> 'moment')::timestamptz, now()) end
  from (select tenancy.context() as claims offset 0) bound);

create or replace function documents.earliest_end() returns timestamptz
language sql stable
return (
  select case when documents.sees_every_state(claims) or claims ? 'known_at' or claims -> 'presented' ->> 'reading' = 'lapsed'
    then '-infinity'::timestamptz else coalesce((claims ->> 'moment')::timestamptz, now()) end
  from (select tenancy.context() as claims offset 0) bound);

-- Whether a transaction also sees what was never in force.
create or replace function documents.sees_unapproved() returns boolean
language sql stable
return coalesce(documents.sees_every_state(tenancy.context()), false);

create or replace function documents.sees_drafts() returns boolean
language sql stable
return (
  select coalesce(claims -> 'permissions' ? 'documents:write' or documents.sees_every_state(claims), false)
  from (select tenancy.context() as claims offset 0) bound);

-- The versions that were in force at the moment asked about, as far as was known at the moment whose knowledge is asked for.
create or replace function documents.versions_known_in_force() returns uuid[]
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select array(
    select version_id from (
      select distinct on (version_id) version_id, effective_from, effective_to
      from documents.version_history
      where tenant_id = (select tenancy.tenant_id()) and recorded_at <= (select tenancy.known_at())
      order by version_id, recorded_at desc, id desc
    ) known
    where effective_from <= (select tenancy.moment()) and effective_to > (select tenancy.moment()))
$$;

-- What somebody of the caller's tenant is called who approved or rejected something in a collection that the caller may read: who
-- reads what applies is told who said so, also without seeing the tenant's people.
create or replace function documents.decider_name(decider uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select u.display_name from identity."user" u
  where u.tenant_id = (select tenancy.tenant_id()) and u.id = decider
    and exists (select from documents.approval a where a.tenant_id = u.tenant_id and a.approver_id = u.id
      and a.collection_id = any ((select documents.visible_collections())::uuid[]))
$$;

grant execute on function documents.sees_every_state(jsonb), documents.erasable_collections(), documents.visible_collections(), documents.withdrawn_document(),
  documents.latest_start(), documents.earliest_end(), documents.sees_unapproved(), documents.sees_drafts(),
  documents.versions_known_in_force(), documents.decider_name(uuid) to affidavit_runtime;
-- Nothing here is granted to anyone else.
