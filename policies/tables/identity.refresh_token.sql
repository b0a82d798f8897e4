-- Refresh tokens as digests; each is used once.
alter table identity.refresh_token enable row level security, force row level security;

-- The tokens of a session belong to its user.
create policy own on identity.refresh_token for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())));
create policy own_insert on identity.refresh_token for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())));
-- A token is marked as used, never as unused.
create policy own_use on identity.refresh_token for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())))
  with check (tenant_id = (select tenancy.tenant_id()) and used_at is not null);
-- A presented token is found as the owner.
create policy owner on identity.refresh_token for select to affidavit_owner using (true);

grant select (tenant_id, id, session_id, issued_at, used_at) on identity.refresh_token to affidavit_runtime;
grant insert (tenant_id, id, session_id, digest) on identity.refresh_token to affidavit_runtime;
grant update (used_at) on identity.refresh_token to affidavit_runtime;
-- Not granted: select of digests, whose index spans tenants; delete.
