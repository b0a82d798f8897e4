-- Which roles a user has.
alter table identity.user_role enable row level security, force row level security;

-- A caller sees its own roles; who manages users sees all of the tenant.
create policy visible on identity.user_role for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (user_id = (select tenancy.principal_id()) or (select tenancy.has_permission('users:manage'))));
-- Only who manages users gives and takes roles, and never its own, through a key those of the key's owner, or those of anybody who may
-- act as it, since they chose its password: nobody raises itself. Nor does an administrator make the reviewers of what
-- administrators do, who could be itself under another name: that is for the operator, and for the provider that says whom its
-- groups hold.
create policy managed_insert on identity.user_role for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and user_id <> all ((select identity.behind_acting_user())::uuid[])
    and (role not in ('compliance', 'privacy') or (select tenancy.context() ->> 'kind') = 'issuer'));
create policy managed_delete on identity.user_role for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('users:manage'))
    and user_id <> all ((select identity.behind_acting_user())::uuid[]));
-- The operator sets tenants up.
create policy operator on identity.user_role to affidavit_owner using (true) with check (true);

grant select, delete on identity.user_role to affidavit_runtime;
grant insert (tenant_id, user_id, role) on identity.user_role to affidavit_runtime;
-- Not granted: update.
