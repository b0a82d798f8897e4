-- The leaves of sealed logs: which event stands where, under which hash. Append-only, like the events.
alter table audit.leaf enable row level security, force row level security;

-- The sealer appends, for all tenants.
create policy sealed on audit.leaf for insert to affidavit_sealer with check (true);
create policy continued on audit.leaf for select to affidavit_sealer using (true);
-- The owner sees whether what may leave for an archive is sealed.
create policy archived on audit.leaf for select to affidavit_owner
  using (event_id < (select audit.first_id_at(now() - interval '1 year')));
-- Reviewers prove what stands in their tenant's log.
create policy reviewed on audit.leaf for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));

grant select, insert (tenant_id, index, event_id, hash) on audit.leaf to affidavit_sealer;
grant select on audit.leaf to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.leaf from affidavit_owner;
-- Not granted: update, delete, truncate to anyone.
