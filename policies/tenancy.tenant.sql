-- The tenants of this deployment. Created and changed only by the operator, as the owner.
grant usage on schema tenancy to affidavit_runtime, affidavit_sealer;
grant execute on function tenancy.context(), tenancy.tenant_id(), tenancy.principal_id(), tenancy.subject_id(), tenancy.request_id(),
  tenancy.has_permission(text), tenancy.permissions(), tenancy.readable_collections(), tenancy.writable_collections(),
  tenancy.moment(), tenancy.known_at(), tenancy.presented(text) to affidavit_runtime;
-- A caller learns slug and status of its own tenant, and who signs in those of the one whose slug was presented.
grant execute on function tenancy.own_tenant(), tenancy.presented_tenant() to affidavit_runtime;
alter table tenancy.tenant enable row level security, force row level security;

-- The operator manages all tenants and reads nothing of their content.
create policy operator on tenancy.tenant to affidavit_owner using (true) with check (true);

-- The operator's systems see all tenants, create, suspend and resume them, and limit and delete them. What they delete can be
-- brought back for a day at least, so that a stolen key destroys nothing.
create policy operated on tenancy.tenant for select to affidavit_operator using (true);
create policy operated_update on tenancy.tenant for update to affidavit_operator using (true)
  with check (delete_after is null or delete_after > now() + interval '23 hours');

grant usage on schema tenancy to affidavit_operator;
grant select, update (name, status, delete_after, requests_per_minute, principal_requests_per_minute)
  on tenancy.tenant to affidavit_operator;
grant execute on function identity.create_tenant(uuid, text, text, uuid, text, text[], text[]) to affidavit_operator;
-- Not granted to the operator's role: anything else, on any table that holds what belongs to a tenant.
-- Not granted to the runtime role: select, insert, update, delete. Its index of slugs spans tenants, and EXPLAIN would tell what it holds.
