-- Runs of sources, and what came of each.
alter table sources.run enable row level security, force row level security;

-- Who manages sources sees runs, and asks for one in its own name.
create policy managed on sources.run for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage')));
create policy managed_insert on sources.run for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('sources:manage'))
    and asked_by = (select identity.acting_user()));
-- A source is run by itself when it is due, and says what comes of it until it is over.
create policy own on sources.run for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id()));
create policy own_insert on sources.run for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id())
    and asked_by is null and not accept_gone);
create policy own_update on sources.run for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id()) and finished_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and source_id = (select tenancy.principal_id()));
-- One whose job comes to nothing is over, whoever ends the job.
create policy withdrawing on sources.run for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id::text = (select tenancy.presented('withdrawing')));
create policy withdrawn on sources.run for update to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and id::text = (select tenancy.presented('withdrawing')) and finished_at is null)
  with check (tenant_id = (select tenancy.tenant_id()) and id::text = (select tenancy.presented('withdrawing'))
    and state in ('failed', 'cancelled'));
-- Whoever erases a document has its names taken out of what runs told, through sources.forget() alone.
create policy forgotten_select on sources.run for select to affidavit_owner using (true);
create policy forgotten on sources.run for update to affidavit_owner using (true) with check (true);
-- A source forgets what old runs told, through sources.forget_old_runs() alone.
create policy old on sources.run for delete to affidavit_owner using (finished_at is not null);

grant select on sources.run to affidavit_runtime;
grant insert (tenant_id, id, source_id, asked_by, dry_run, accept_gone) on sources.run to affidavit_runtime;
grant update (state, reason, counts, changes, cursor, finished_at) on sources.run to affidavit_runtime;
-- Not granted: delete, and update of what was asked for and by whom.
