-- Refresh tokens as digests; each is used once.
alter table identity.refresh_token enable row level security, force row level security;

-- Somebody who presents a token finds it, whichever tenant it belongs to.
create policy presented on identity.refresh_token for select to affidavit_runtime
  using (encode(digest, 'hex') = (select tenancy.presented('digest')));
-- The tokens of a session belong to its user.
create policy own on identity.refresh_token to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())))
  with check (tenant_id = (select tenancy.tenant_id())
    and session_id in (select id from identity.session where user_id = (select tenancy.principal_id())));

grant select on identity.refresh_token to affidavit_runtime;
grant insert (tenant_id, id, session_id, lookup_id, digest) on identity.refresh_token to affidavit_runtime;
grant update (used_at) on identity.refresh_token to affidavit_runtime;
-- Not granted: delete.
