-- Who may read or write a collection: a principal, or everyone of a role.
alter table identity.collection_grant enable row level security, force row level security;

-- A caller sees the grants to itself and to the roles that it has or had, which its access, now or then, is computed from.
create policy visible on identity.collection_grant for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id())
      or role in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))
      or role in (select r.role from identity.ended_role r where r.user_id = (select tenancy.principal_id()))
      or (select tenancy.has_permission('collections:manage'))));
-- Only who manages collections grants and withdraws, and grants nothing to itself: not by name, by role, or through its key.
create policy managed_insert on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and (principal_id is null or principal_id <> (select tenancy.principal_id())
      and principal_id not in (select k.created_by from identity.api_key k
        where k.id = (select tenancy.principal_id()) and k.created_by is not null))
    and (role is null or role not in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))));
create policy managed_delete on identity.collection_grant for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
-- Who manages keys gives a new key the collections that it can read itself.
create policy key_scope on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and access = 'read' and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and principal_id <> (select tenancy.principal_id())
    and principal_id in (select id from identity.api_key where created_by = (select tenancy.principal_id())));
-- The operator sets tenants up.
create policy operator on identity.collection_grant to affidavit_owner using (true) with check (true);

grant select, delete on identity.collection_grant to affidavit_runtime;
grant insert (tenant_id, id, collection_id, principal_id, role, access) on identity.collection_grant to affidavit_runtime;
-- Not granted: update.
