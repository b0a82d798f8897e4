-- Legal holds: while one applies, nothing of its subject is erased; one without a subject applies to everyone.
alter table audit.hold enable row level security, force row level security;

-- A caller with audit:read sees the holds of its tenant.
create policy visible on audit.hold for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- A user with audit:export places holds. Two users with audit:export release one. A key does neither.
create policy placed on audit.hold for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export'))
    and (select tenancy.context() ->> 'kind') = 'user' and placed_by = (select tenancy.principal_id()));
create policy released on audit.hold for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:export')) and released_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and released_by = (select tenancy.principal_id())
    and identity.has_joined('hold:release', id));
-- The owner asks whether one applies before it purges a tenant, or lets a month leave for an archive.
create policy obeyed on audit.hold for select to affidavit_owner using (true);

grant select, insert (tenant_id, id, subject_id, reason, placed_by), update (released_by, released_at)
  on audit.hold to affidavit_runtime;
-- Not granted: delete.
