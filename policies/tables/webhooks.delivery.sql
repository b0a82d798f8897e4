-- What is sent to an endpoint, and how far that is.
alter table webhooks.delivery enable row level security, force row level security;

-- Who manages webhooks sees it, adds a test, and has it sent again.
create policy managed on webhooks.delivery for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')));
create policy managed_insert on webhooks.delivery for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage'))
    and kind = 'webhook.test' and event_id is null);
create policy managed_update on webhooks.delivery for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage')))
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('webhooks:manage'))
    and state = 'waiting');
-- The worker that has the endpoint makes it of the log, says what came of it, and forgets what ended long ago.
create policy delivering on webhooks.delivery to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and endpoint_id = (select webhooks.leased_endpoint()))
  with check (tenant_id = (select tenancy.tenant_id()) and endpoint_id = (select webhooks.leased_endpoint()));
-- The owner's function looks for endpoints to which something is to be sent.
create policy leased on webhooks.delivery for select to affidavit_owner using (next_attempt_at is not null);

grant select, delete on webhooks.delivery to affidavit_runtime;
grant insert (tenant_id, endpoint_id, id, kind, event_id, place, body) on webhooks.delivery to affidavit_runtime;
grant update (state, attempts, attempted_at, next_attempt_at, ended_at, response_status, failure) on webhooks.delivery to affidavit_runtime;
-- Not granted: update of what is told, and of what.
