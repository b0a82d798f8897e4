-- The right edge of each sealed log, from which it grows.
alter table audit.log enable row level security, force row level security;

-- Only the sealer grows logs.
create policy sealed on audit.log to affidavit_sealer using (true) with check (true);
-- A caller with audit:read sees how long the log of its tenant had become, whatever is left of it.
create policy reviewed on audit.log for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:read')));
-- The owner's functions tell who manages webhooks, and the worker that has an endpoint, how far the log of that tenant is sealed, and
-- look for the endpoints of which the tenant's log has grown.
create policy told on audit.log for select to affidavit_owner
  using ((select tenancy.presented('worker')) is not null
    or tenant_id = (select tenancy.tenant_id()) and (select webhooks.may_follow_log()));

grant select on audit.log to affidavit_runtime;
grant select, insert, update (size, frontier) on audit.log to affidavit_sealer;
-- Not granted: delete to anyone; insert, update to the runtime role.
