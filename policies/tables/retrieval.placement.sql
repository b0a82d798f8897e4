-- Which tenants have a partition of their own.
alter table retrieval.placement enable row level security, force row level security;

-- A caller learns where its own tenant's chunks are.
create policy own on retrieval.placement for select to affidavit_runtime using (tenant_id = (select tenancy.tenant_id()));
-- The operator moves tenants.
create policy operator on retrieval.placement to affidavit_owner using (true) with check (true);
-- The operator's API tells who has been moved.
create policy operated on retrieval.placement for select to affidavit_operator using (true);

grant select on retrieval.placement to affidavit_runtime;
grant select (tenant_id, state) on retrieval.placement to affidavit_operator;
-- Not granted: insert, update, delete.
