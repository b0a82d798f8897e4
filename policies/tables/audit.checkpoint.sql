-- Signed checkpoints of sealed logs. Append-only, like the events.
alter table audit.checkpoint enable row level security, force row level security;

-- The sealer appends, for all tenants.
create policy sealed on audit.checkpoint for insert to affidavit_sealer with check (true);
create policy continued on audit.checkpoint for select to affidavit_sealer using (true);
-- A caller with audit:read reads this of its tenant's log, to prove what stands in it.
create policy reviewed on audit.checkpoint for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The operator reads how far the log of logs is and when that was signed; of tenants' logs nothing.
create policy operated on audit.checkpoint for select to affidavit_operator
  using (tenant_id = '00000000-0000-0000-0000-000000000001');

grant select (tenant_id, id, size, signed_at) on audit.checkpoint to affidavit_operator;
grant select, insert (tenant_id, id, size, note) on audit.checkpoint to affidavit_sealer;
grant select on audit.checkpoint to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.checkpoint from affidavit_owner;
-- Not granted: update, delete, truncate to anyone.
