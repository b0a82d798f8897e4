-- Secrets of API keys, as digests.
alter table identity.api_key_secret enable row level security, force row level security;

-- Who manages keys sees which secrets a key has.
create policy managed on identity.api_key_secret for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage')));
-- A key gets a secret from its owner only: anyone else could come to more than it has by rotating it.
create policy created on identity.api_key_secret for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and made_by = (select identity.acting_user())
    and key_id in (select id from identity.api_key where owner_id = (select identity.acting_user())));
-- Its owner lets earlier secrets end.
create policy ended on identity.api_key_secret for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and key_id in (select id from identity.api_key where owner_id = (select identity.acting_user())))
  with check (tenant_id = (select tenancy.tenant_id()) and expires_at < 'infinity');
-- The operator sets tenants up, and a presented secret is found as the owner.
create policy operator on identity.api_key_secret to affidavit_owner using (true) with check (true);

grant select (tenant_id, id, key_id, lookup_id, created_at, expires_at) on identity.api_key_secret to affidavit_runtime;
grant insert (tenant_id, id, key_id, lookup_id, digest, made_by) on identity.api_key_secret to affidavit_runtime;
grant update (expires_at) on identity.api_key_secret to affidavit_runtime;
-- Not granted: select of digests, whose index spans tenants; delete.
