-- Keys of the operator's own systems, as digests.
alter table identity.operator_key enable row level security, force row level security;

-- The operator's role finds the key that is presented to it.
create policy presented on identity.operator_key for select to affidavit_operator using (true);
-- Only the owner, at the command line, makes and revokes them: a stolen key cannot make others.
create policy owner on identity.operator_key to affidavit_owner using (true) with check (true);

grant select on identity.operator_key to affidavit_operator;
-- Not granted: insert, update, delete; anything to the runtime role.
