-- What events are to be found by, until it is in the index.
alter table audit.unindexed enable row level security, force row level security;

-- Written with the event; of one of another transaction nothing gets into the index.
create policy own_tenant on audit.unindexed for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()));
-- The owner's functions lock it, and move it into the index.
create policy indexed on audit.unindexed to affidavit_owner using (true) with check (false);

grant insert (tenant_id, event_id, doc_ids, action, outcome, principal_id) on audit.unindexed to affidavit_runtime;
revoke truncate, references, trigger on audit.unindexed from affidavit_owner;
-- Not granted: select, update, delete; the transaction, which is always the one that writes.
