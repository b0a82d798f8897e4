-- Who seals, and why nobody does if sealing has stopped.
alter table audit.sealer enable row level security, force row level security;

-- Sealers elect one of themselves.
create policy elected on audit.sealer to affidavit_sealer using (true) with check (true);
-- The service reads whether sealing goes on. The row names no tenant.
create policy watched on audit.sealer for select to affidavit_runtime using (true);
-- So does the operator.
create policy operated on audit.sealer for select to affidavit_operator using (true);

grant select, update (epoch, holder, lease_until, sealed_at, halted) on audit.sealer to affidavit_sealer;
grant select (singleton, lease_until, sealed_at, halted) on audit.sealer to affidavit_runtime, affidavit_operator;
-- Not granted: insert, delete.
