-- The signed declarations of what logs have lost. Append-only, like the events.
alter table audit.declaration enable row level security, force row level security;

-- A caller with audit:read sees and exports what the log of its tenant has lost.
create policy reviewed on audit.declaration for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The owner, at the command line, declares.
create policy known on audit.declaration for select to affidavit_owner using (true);
create policy declared on audit.declaration for insert to affidavit_owner with check (true);

grant select on audit.declaration to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.declaration from affidavit_owner;
-- Not granted: anything else to anyone who serves or seals.
