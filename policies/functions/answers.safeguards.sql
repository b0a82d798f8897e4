-- What keeps a tenant's choice of how sure a sentence must be to be shown.

-- Sentences of a level that was not shown are shown only when two people want it: both asked for just these levels, or the second
-- approved a run under them.
create or replace function answers.guard_support() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  if current_user <> 'affidavit_owner' and not exists (
      select from identity.joined_changes('support:relax', new.tenant_id) as joined (change)
      where joined.change -> 'support_levels' = coalesce(to_jsonb(new.support_levels), 'null'))
    and not evaluation.has_approved(new.models, new.support_levels)
  then
    raise exception 'another person must ask for this as well' using errcode = 'insufficient_privilege', constraint = 'two_people';
  end if;
  return new;
end
$$;

create or replace trigger guard_support before update on answers.policy
  for each row when (old.support_levels is not null
    and (new.support_levels is null or not new.support_levels <@ old.support_levels))
  execute function answers.guard_support();
-- Nothing here is granted to anyone.
