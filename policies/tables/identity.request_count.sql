-- How often something was asked, for limits.
alter table identity.request_count enable row level security, force row level security;

-- Counted as the owner, by identity.count_request(), in the tenant of the verified context; sign-ins in the platform's, which
-- is the tenant of no caller, so that no tenant's SQL locks out or lets in anyone. Within a tenant, a caller counts against
-- itself and the tenant, so that it uses up no colleague's limit.
create policy owner on identity.request_count to affidavit_owner using (true)
  with check (tenant_id = '00000000-0000-0000-0000-000000000000'
    or subject in ('tenant', 'principal:' || (select tenancy.principal_id()), 'key:' || (select tenancy.principal_id())));

-- Not granted: anything on the table, so that nobody lowers a count.
