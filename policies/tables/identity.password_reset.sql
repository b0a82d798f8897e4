-- One-time links with which a user chooses a password.
alter table identity.password_reset enable row level security, force row level security;

-- Who manages users makes them, in its own name, for users who do not review what administrators do: with such a link it could
-- become one of them. Nor for users who sign in through the tenant's provider, who have no password here and could be made reviewers
-- there; nor for itself and those who may act as it, who change their own passwords.
create policy managed_insert on identity.password_reset for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and (select tenancy.context() ->> 'kind') = 'user' and made_by = (select tenancy.principal_id())
    and user_id <> all ((select identity.behind_acting_user())::uuid[])
    and identity.may_be_given_a_link(user_id));
-- The operator makes them for everybody, and a presented one is found and spent as the owner.
create policy operator on identity.password_reset to affidavit_owner using (true) with check (true);

grant insert (tenant_id, id, user_id, digest, made_by, expires_at) on identity.password_reset to affidavit_runtime;
-- Not granted: select, update, delete.
