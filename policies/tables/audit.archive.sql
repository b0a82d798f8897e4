-- Months that left the log for an archive.
alter table audit.archive enable row level security, force row level security;

-- A caller with audit:read sees which months of its tenant left the log.
create policy reviewed on audit.archive for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The owner archives. The row of a month whose rows are deleted stays as it was recorded.
create policy known on audit.archive for select to affidavit_owner using (true);
create policy written on audit.archive for insert to affidavit_owner with check (left_at is null);
create policy continued on audit.archive for update to affidavit_owner using (cleared_at is null) with check (true);

grant select on audit.archive to affidavit_runtime;
revoke delete, truncate, references, trigger on audit.archive from affidavit_owner;
-- Not granted: insert, update, delete to anyone who serves or seals.
