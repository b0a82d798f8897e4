-- Sign-ins: one session for each, to which its refresh tokens belong.
alter table identity.session enable row level security, force row level security;

-- A caller sees and opens its own sessions.
create policy own on identity.session for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()));
create policy own_insert on identity.session for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()));
-- It ends them, for good.
create policy own_end on identity.session for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()))
  with check (tenant_id = (select tenancy.tenant_id()) and revoked_at is not null);
-- The session of a presented refresh token is found as the owner.
create policy owner on identity.session for select to affidavit_owner using (true);
-- The owner ends sessions: of the users of a provider that is no longer trusted, and of who is disabled or deleted.
create policy distrusted on identity.session for update to affidavit_owner using (true) with check (revoked_at is not null);
-- The owner notes that a second factor was shown in a session.
create policy proved on identity.session for update to affidavit_owner using (true) with check (second_factor);

grant select on identity.session to affidavit_runtime;
grant insert (tenant_id, id, user_id, expires_at, method, second_factor, source_address, client_id, client_name, audience, scope)
  on identity.session to affidavit_runtime;
grant update (revoked_at, revoked_reason) on identity.session to affidavit_runtime;
-- Not granted: delete.
