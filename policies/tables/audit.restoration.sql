-- Who declared that a restored database has lost a part of the log, and why.
alter table audit.restoration enable row level security, force row level security;

-- The owner, at the command line, proposes; a declaration that is confirmed stays as it is.
create policy known on audit.restoration for select to affidavit_owner using (true);
create policy proposed on audit.restoration for insert to affidavit_owner with check (confirmed_at is null);
create policy confirmed on audit.restoration for update to affidavit_owner using (confirmed_at is null) with check (true);

revoke delete, truncate, references, trigger on audit.restoration from affidavit_owner;
-- Not granted: anything to the roles that serve and seal.
