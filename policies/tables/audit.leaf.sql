-- The leaves of sealed logs: which event stands where, under which hash. Append-only, like the events.
alter table audit.leaf enable row level security, force row level security;

-- The sealer appends, for all tenants.
create policy sealed on audit.leaf for insert to affidavit_sealer with check (true);
create policy continued on audit.leaf for select to affidavit_sealer using (true);
-- The owner sees whether what may leave for an archive is sealed.
create policy archived on audit.leaf for select to affidavit_owner
  using (event_id < (select audit.first_id_at(now() - interval '1 year')));
-- A caller with audit:read reads this of its tenant's log, to prove what stands in it.
create policy reviewed on audit.leaf for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The owner's functions tell who manages webhooks, and the worker that has an endpoint, where events of that tenant stand.
create policy told on audit.leaf for select to affidavit_owner
  using (tenant_id = (select tenancy.tenant_id()) and (select webhooks.may_follow_log()));
-- The owner's function gives hashes of the log of all checkpoints to whoever may read a tenant's log.
create policy proven on audit.leaf for select to affidavit_owner
  using (tenant_id = '00000000-0000-0000-0000-000000000001' and (select tenancy.has_permission('audit:read')));

grant select, insert (tenant_id, index, event_id, hash) on audit.leaf to affidavit_sealer;
grant select on audit.leaf to affidavit_runtime;
revoke update, delete, truncate, references, trigger on audit.leaf from affidavit_owner;
-- Not granted: update, delete, truncate to anyone.
