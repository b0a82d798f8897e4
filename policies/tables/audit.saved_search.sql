-- Searches that a reviewer comes back to.
alter table audit.saved_search enable row level security, force row level security;

-- Everyone's are their own.
create policy own on audit.saved_search to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and saved_by = (select tenancy.principal_id())
    and (select tenancy.has_permission('audit:read')))
  with check (tenant_id = (select tenancy.tenant_id()) and saved_by = (select tenancy.principal_id())
    and (select tenancy.has_permission('audit:read')));

grant select, insert (tenant_id, id, name, filters, saved_by), delete on audit.saved_search to affidavit_runtime;
-- Not granted: update.
