-- Which user a subject of a tenant's provider is.
alter table identity.external_identity enable row level security, force row level security;

-- Found and added only while the provider itself is who acts.
create policy own on identity.external_identity for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer');
create policy own_insert on identity.external_identity for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer' and (select tenancy.has_permission('users:manage')));
-- It notes when the newest token of a subject was issued: an older one opens nothing any more.
create policy own_update on identity.external_identity for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer')
  with check (tenant_id = (select tenancy.tenant_id()) and issuer_id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'issuer');
-- The operator links users that exist already.
create policy operator on identity.external_identity to affidavit_owner using (true) with check (true);

grant select on identity.external_identity to affidavit_runtime;
grant insert (tenant_id, issuer_id, subject, user_id) on identity.external_identity to affidavit_runtime;
grant update (last_issued_at) on identity.external_identity to affidavit_runtime;
-- Not granted: update of whose it is, delete.
