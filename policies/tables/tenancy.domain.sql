-- Which domains of e-mail addresses are whose. The operator says so: a tenant that could would draw the sign-ins of another to itself.
alter table tenancy.domain enable row level security, force row level security;

-- The command line sets them, and tenancy.presented_tenant() looks one up, both as the owner.
create policy owner on tenancy.domain to affidavit_owner using (true) with check (true);

-- So do the operator's systems.
create policy operated on tenancy.domain for select to affidavit_operator using (true);
create policy operated_insert on tenancy.domain for insert to affidavit_operator with check (true);
create policy operated_delete on tenancy.domain for delete to affidavit_operator using (true);

grant select (tenant_id, domain), insert (tenant_id, domain), delete on tenancy.domain to affidavit_operator;
-- Not granted to the runtime role: anything. The index of domains spans tenants, and EXPLAIN would tell what it holds.
