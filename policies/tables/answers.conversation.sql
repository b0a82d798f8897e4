-- Conversations, each of who began it.
alter table answers.conversation enable row level security, force row level security;

-- A caller sees and begins conversations of its own; of a key, those of the end user for whom it acts.
create policy own on answers.conversation to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and principal_id = (select tenancy.principal_id())
    and subject_id = (select tenancy.subject_id()))
  with check (tenant_id = (select tenancy.tenant_id()) and principal_id = (select tenancy.principal_id())
    and subject_id = (select tenancy.subject_id()));

grant select, insert (tenant_id, id, principal_id, subject_id) on answers.conversation to affidavit_runtime;
-- Not granted: update, delete.
