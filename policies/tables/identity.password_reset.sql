-- One-time links with which a user chooses a password.
alter table identity.password_reset enable row level security, force row level security;

-- Who manages users makes them, in its own name, for users who do not review what administrators do: with such a link it could
-- become one of them.
create policy managed_insert on identity.password_reset for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and (select tenancy.context() ->> 'kind') = 'user' and made_by = (select tenancy.principal_id())
    and user_id <> (select tenancy.principal_id())
    and not exists (select from identity.user_role r where r.tenant_id = password_reset.tenant_id and r.user_id = password_reset.user_id
      and r.role in ('compliance', 'privacy')));
-- The operator makes them for everybody, and a presented one is found and spent as the owner.
create policy operator on identity.password_reset to affidavit_owner using (true) with check (true);

grant insert (tenant_id, id, user_id, digest, made_by, expires_at) on identity.password_reset to affidavit_runtime;
-- Not granted: select, update, delete.
