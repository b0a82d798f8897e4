-- Sign-ins: one session for each, to which its refresh tokens belong.
alter table identity.session enable row level security, force row level security;

-- A caller sees, opens and revokes its own sessions.
create policy own on identity.session to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()))
  with check (tenant_id = (select tenancy.tenant_id()) and user_id = (select tenancy.principal_id()));
-- Somebody who presents a refresh token finds its session.
create policy refreshing on identity.session for select to affidavit_runtime
  using (id::text = (select tenancy.presented('session')));

grant select on identity.session to affidavit_runtime;
grant insert (tenant_id, id, user_id, expires_at) on identity.session to affidavit_runtime;
grant update (revoked_at, revoked_reason) on identity.session to affidavit_runtime;
-- Not granted: delete.
