-- Inner nodes of sealed logs, for proofs. Append-only, like the events.
alter table audit.node enable row level security, force row level security;

-- The sealer appends, for all tenants.
create policy sealed on audit.node for insert to affidavit_sealer with check (true);
create policy continued on audit.node for select to affidavit_sealer using (true);
-- A caller with audit:read reads this of its tenant's log, to prove what stands in it.
create policy reviewed on audit.node for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));

-- The owner's function gives hashes of the log of all checkpoints to whoever may read a tenant's log.
create policy proven on audit.node for select to affidavit_owner
  using (tenant_id = '00000000-0000-0000-0000-000000000001' and (select tenancy.has_permission('audit:read')));

grant select, insert (tenant_id, level, position, hash) on audit.node to affidavit_sealer;
grant select on audit.node to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.node from affidavit_owner;
-- Not granted: update, delete, truncate to anyone.
