-- Who sees evaluations, what was approved last, and what a tenant asks of changes.

-- Whether the caller is concerned with evaluations: it reviews documents or the log, or chooses what answers.
create or replace function evaluation.is_concerned() returns boolean
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select tenancy.has_permission('documents:review') or tenancy.has_permission('collections:manage')
    or tenancy.has_permission('audit:read');
end;

-- Whether a rule asks less of changes than the one that holds now.
create or replace function evaluation.relaxes(changes_need_approval boolean, unapproved text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (select from evaluation.rule r where r.tenant_id = (select tenancy.tenant_id())
    and (r.changes_need_approval > $1 or (r.unapproved = 'refuse' and $2 <> 'refuse')));
end;

-- Whether the caller has joined, in this transaction, what another person asked of changes, and that was just this.
create or replace function evaluation.is_joined(changes_need_approval boolean, unapproved text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (
    select from identity.joined_changes('evaluation:relax', (select tenancy.tenant_id())) as joined (change)
    where joined.change = jsonb_build_object('changes_need_approval', $1, 'unapproved', $2));
end;

-- Whether changes of what answers wait for a run that a second person approves.
create or replace function evaluation.changes_wait() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((select r.changes_need_approval from evaluation.rule r where r.tenant_id = (select tenancy.tenant_id())), false);
end;

-- Whether the caller has approved, in this transaction, a run that was made under just these values of a change.
create or replace function evaluation.has_approved(models text[], support_levels text[]) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (
    select from evaluation.run_approval a
    join evaluation.run r on r.tenant_id = a.tenant_id and r.id = a.run_id
    join evaluation.change c on c.tenant_id = r.tenant_id and c.id = r.change_id
    where a.tenant_id = (select tenancy.tenant_id()) and a.approved_by = (select tenancy.principal_id())
      and a.approved_in = pg_current_xact_id()::text
      and c.models is not distinct from $1 and c.support_levels is not distinct from $2);
end;

-- The run that was approved last, under what it was made, and whether a tenant refuses to answer under anything else. Everybody
-- is answered by it, and nobody learns results from it.
create or replace function evaluation.approved() returns table (run uuid, pins jsonb, refuses boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select a.run_id, x.pins, coalesce(u.unapproved = 'refuse', false)
  from (select tenancy.tenant_id() as id) t
  left join evaluation.rule u on u.tenant_id = t.id
  left join lateral (
    select b.tenant_id, b.run_id from evaluation.run_approval b where b.tenant_id = t.id order by b.approved_at desc, b.run_id desc limit 1
  ) a on true
  left join evaluation.result x on x.tenant_id = a.tenant_id and x.run_id = a.run_id
$$;

-- The keys of questions that were reported, for who reviews documents.
create or replace function evaluation.candidate_keys() returns table (id uuid, wrapped bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select k.id, k.wrapped from audit.data_key k
  where k.tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:review'))
    and k.id in (select c.key_id from evaluation.candidate c where c.tenant_id = (select tenancy.tenant_id()))
$$;

grant execute on function evaluation.is_concerned(), evaluation.relaxes(boolean, text), evaluation.is_joined(boolean, text), evaluation.changes_wait(),
  evaluation.has_approved(text[], text[]), evaluation.approved(), evaluation.candidate_keys() to affidavit_runtime;
-- Nothing here is granted to anyone else.
