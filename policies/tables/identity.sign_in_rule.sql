-- What a tenant asks of everybody who signs in with a password.
alter table identity.sign_in_rule enable row level security, force row level security;

-- Everybody of the tenant is asked for it.
create policy visible on identity.sign_in_rule for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()));
-- Set as the owner, by a function that asks for two people to lower it.
create policy operator on identity.sign_in_rule to affidavit_owner using (true) with check (true);

grant select on identity.sign_in_rule to affidavit_runtime;
-- Not granted: insert, update, delete.
