-- Work that takes longer than a request: who asked for it, how far it is, and how it ended.
alter table jobs.job enable row level security, force row level security;

-- A job is seen by who asked for it, by who manages users, and by the worker that has it.
create policy visible on jobs.job for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (requested_by = (select tenancy.principal_id())
      or (select tenancy.has_permission('users:manage'))
      or lease_id::text = (select tenancy.presented('lease'))));
-- It is asked for in one's own name, in the request at hand.
create policy requested on jobs.job for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and requested_by = (select tenancy.principal_id())
    and request_id = (select tenancy.request_id()));
-- Who asked for it, or manages users, cancels it before it has ended.
create policy cancelled on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and status in ('queued', 'running')
    and (requested_by = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))))
  with check (tenant_id = (select tenancy.tenant_id()) and status = 'cancelled');
-- They also queue one again that has failed and might succeed another time, in the request that asks for it: checks of
-- policies stand for each other, and without that one who may cancel a job could change it as it waits.
create policy retried on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and retryable and id::text = (select tenancy.presented('retrying'))
    and (requested_by = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))))
  with check (tenant_id = (select tenancy.tenant_id()) and status = 'queued'
    and id::text = (select tenancy.presented('retrying')));
-- The worker that has it reports on it, ends it, or puts it back.
create policy worked on jobs.job for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and status = 'running' and lease_id::text = (select tenancy.presented('lease')))
  with check (tenant_id = (select tenancy.tenant_id()) and lease_id::text = (select tenancy.presented('lease')));
-- The queue hands jobs of all tenants to workers, through jobs.lease() alone.
create policy queue_select on jobs.job for select to affidavit_owner using (true);
create policy queue_lease on jobs.job for update to affidavit_owner using (true) with check (status = 'running');
-- Those that ended long ago are forgotten, through jobs.forget() alone.
create policy queue_forget on jobs.job for delete to affidavit_owner using (finished_at is not null and not retryable);

grant select (tenant_id, id, kind, requested_by, request_id, on_behalf_of, parameters, status, attempts, run_after, lease_id, leased_at,
  leased_until, done, total, result, error_code, error_detail, retryable, created_at, finished_at) on jobs.job to affidavit_runtime;
grant insert (tenant_id, id, kind, requested_by, request_id, on_behalf_of, parameters) on jobs.job to affidavit_runtime;
grant update (status, attempts, run_after, leased_until, done, total, result, error_code, error_detail, retryable, finished_at)
  on jobs.job to affidavit_runtime;
-- Not granted: delete, update of what was asked for and by whom, and select of ended_at, whose index spans tenants.
