-- Keyed hashes of the words of encrypted texts: an index, not evidence.
alter table audit.payload_term enable row level security, force row level security;

-- Written with the event, and never added to one of more than a minute and a half ago.
create policy own_tenant on audit.payload_term for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and event_id >= (select audit.earliest_id()));
-- Searched by who may reveal: what is found says what a text holds.
create policy searched on audit.payload_term for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));

grant insert, select on audit.payload_term to affidavit_runtime;
-- Not granted: update, delete. A payload takes its words with it, through the foreign key.
