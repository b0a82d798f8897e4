-- Encrypted texts of events: questions, contexts, answers.
alter table audit.payload enable row level security, force row level security;

-- Written with the event.
create policy own_tenant on audit.payload for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()));
-- Read by who may reveal.
create policy revealed on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));

grant insert, select on audit.payload to affidavit_runtime;
-- Not granted: update, delete.
