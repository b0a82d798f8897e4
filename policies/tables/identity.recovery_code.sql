-- Recovery codes of second factors, as digests.
alter table identity.recovery_code enable row level security, force row level security;

-- Made and taken as the owner, with the second factor that they stand for.
create policy operator on identity.recovery_code to affidavit_owner using (true) with check (true);
-- Not granted: anything.
