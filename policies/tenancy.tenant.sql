-- The tenants of this deployment. Created and changed only by the operator, as the owner.
grant usage on schema tenancy to affidavit_runtime, affidavit_sealer;
grant execute on function tenancy.context(), tenancy.tenant_id(), tenancy.principal_id(), tenancy.request_id(),
  tenancy.has_permission(text), tenancy.permissions(), tenancy.readable_collections(), tenancy.writable_collections(),
  tenancy.moment(), tenancy.known_at(), tenancy.presented(text) to affidavit_runtime;
-- A caller learns slug and status of its own tenant, and who signs in those of the one whose slug was presented.
grant execute on function tenancy.own_tenant(), tenancy.presented_tenant() to affidavit_runtime;
alter table tenancy.tenant enable row level security, force row level security;

-- The operator manages all tenants and reads nothing of their content.
create policy operator on tenancy.tenant to affidavit_owner using (true) with check (true);

-- Not granted: select, insert, update, delete. Its index of slugs spans tenants, and EXPLAIN would tell what it holds.
