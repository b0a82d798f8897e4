-- Every act that asks for two people. The same for all tenants; only a revision adds one.
alter table identity.joint_act enable row level security, force row level security;

-- Everybody may read what needs two people.
create policy readable on identity.joint_act for select to affidavit_runtime, affidavit_owner using (true);

grant select on identity.joint_act to affidavit_runtime;
-- Not granted: insert, update, delete.
