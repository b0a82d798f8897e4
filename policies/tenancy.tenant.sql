-- The tenants of this deployment. Created and changed only by the operator, as the owner.
grant usage on schema tenancy to affidavit_runtime, affidavit_sealer;
grant execute on function tenancy.context(), tenancy.tenant_id(), tenancy.principal_id(), tenancy.request_id(),
  tenancy.has_permission(text), tenancy.readable_collections(), tenancy.writable_collections(), tenancy.moment(), tenancy.known_at(),
  tenancy.presented(text) to affidavit_runtime;
alter table tenancy.tenant enable row level security, force row level security;

-- A caller sees its own tenant, and somebody who signs in the one whose slug was presented.
create policy own on tenancy.tenant for select to affidavit_runtime
  using (id = (select tenancy.tenant_id()) or slug = (select tenancy.presented('tenant')));
-- The operator manages all tenants and reads nothing of their content.
create policy operator on tenancy.tenant to affidavit_owner using (true) with check (true);

grant select on tenancy.tenant to affidavit_runtime;
-- Not granted: insert, update, delete.
