-- Second factors of users, sealed.
alter table identity.second_factor enable row level security, force row level security;

-- Who manages users sees who has one.
create policy visible on identity.second_factor for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (user_id = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))));
-- Everything else is done as the owner, by the functions below.
create policy operator on identity.second_factor to affidavit_owner using (true) with check (true);

grant select (tenant_id, user_id, confirmed_at, created_at) on identity.second_factor to affidavit_runtime;
-- Not granted: select of the secret and of the last step, insert, update, delete.
