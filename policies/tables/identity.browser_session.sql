-- Sessions of browsers, by the digests of their cookies.
alter table identity.browser_session enable row level security, force row level security;

-- Who has just signed in opens one, for a session of its own. What is opened in the future would be fresh for long.
create policy own_insert on identity.browser_session for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())) and opened_at <= now());
-- A presented cookie is found, and noted as used, as the owner.
create policy owner on identity.browser_session for select to affidavit_owner using (true);
create policy owner_use on identity.browser_session for update to affidavit_owner using (true) with check (true);

grant insert (tenant_id, digest, session_id, opened_at) on identity.browser_session to affidavit_runtime;
-- Not granted: select, update and delete; a session ends by ending the sign-in that it belongs to.
