-- What was asked of models, by whom, where and on which day.
alter table identity.usage enable row level security, force row level security;

-- A caller sees its own and that of its keys; who manages keys or reviews the log sees all of the tenant.
create policy visible on identity.usage for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id()) or user_id = (select tenancy.principal_id())
      or (select tenancy.has_permission('keys:manage')) or (select tenancy.has_permission('audit:read'))));
-- Counted as the owner, in the caller's own name; counts are raised and never lowered.
create policy operator on identity.usage to affidavit_owner using (true) with check (true);

grant select on identity.usage to affidavit_runtime;
-- Not granted: insert, update, delete.
