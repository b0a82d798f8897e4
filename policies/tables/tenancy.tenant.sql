-- The tenants of this deployment. Created and changed only by the operator, as the owner.
alter table tenancy.tenant enable row level security, force row level security;

-- The operator manages all tenants and reads nothing of their content.
create policy operator on tenancy.tenant to affidavit_owner using (true) with check (true);

-- The operator's systems see all tenants, create, suspend and resume them, and limit and delete them. What they delete can be
-- brought back for a day at least, so that a stolen key destroys nothing.
create policy operated on tenancy.tenant for select to affidavit_operator using (true);
create policy operated_update on tenancy.tenant for update to affidavit_operator using (true)
  with check (delete_after is null or delete_after > now() + interval '23 hours');

grant select, update (name, status, delete_after, requests_per_minute, principal_requests_per_minute)
  on tenancy.tenant to affidavit_operator;
-- Not granted to the operator's role: anything else, on any table that holds what belongs to a tenant.
-- Not granted to the runtime role: select, insert, update, delete. Its index of slugs spans tenants, and EXPLAIN would tell what it holds.
