-- The signed handovers from one checkpoint key to the next. They name no tenant. Append-only, like the events.
alter table audit.handover enable row level security, force row level security;

-- The sealer signs and appends them, and publishes them with checkpoints.
create policy signed on audit.handover for insert to affidavit_sealer with check (true);
create policy published on audit.handover for select to affidavit_sealer using (true);
-- Reviewers export them beside the log that the keys signed.
create policy reviewed on audit.handover for select to affidavit_runtime
  using ((select tenancy.has_permission('audit:read')));
-- The operator sees which keys took each other's place.
create policy known on audit.handover for select to affidavit_owner using (true);

grant select, insert (id, note) on audit.handover to affidavit_sealer;
grant select on audit.handover to affidavit_runtime;
revoke insert, update, delete, truncate, references, trigger on audit.handover from affidavit_owner;
-- Not granted: update, delete, truncate to anyone.
