-- Who may read or write a collection: a principal, or everyone of a role.
alter table identity.collection_grant enable row level security, force row level security;

-- A caller sees the grants to itself and to the roles that it has or had, which its access, now or then, is computed from.
create policy visible on identity.collection_grant for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and (principal_id = (select tenancy.principal_id())
      or role in (select r.role from identity.user_role r where r.user_id = (select tenancy.principal_id()))
      or role in (select r.role from identity.ended_role r where r.user_id = (select tenancy.principal_id()))
      or (select tenancy.has_permission('collections:manage'))));
-- Only who manages collections grants and withdraws. Whoever grants access to a collection does not get it thereby: not by name,
-- by role, or through any principal that it controls, which is a key that it owns or knows a secret of, and a user who counts as it.
-- By role means by its own and by those of everybody who may act as it. (A role that it gives to a user who counts as it gives nothing
-- either: see identity.granted_to.) A key has beyond its owner's rights only
-- what another person granted it.
create policy managed_insert on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage'))
    and granted_by = (select identity.acting_user())
    and (principal_id is null or not identity.is_controlled(principal_id))
    and (not beyond_owner or identity.is_second_person('key:extend',
      (select k.owner_id from identity.api_key k where k.tenant_id = collection_grant.tenant_id and k.id = collection_grant.principal_id),
      now()))
    and (role is null or role not in (select identity.roles_of_acting_user())));
create policy managed_delete on identity.collection_grant for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('collections:manage')));
-- Who manages keys gives its own keys the collections that it can read itself.
create policy key_scope on identity.collection_grant for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('keys:manage'))
    and access = 'read' and not beyond_owner and collection_id = any ((select tenancy.readable_collections())::uuid[])
    and granted_by = (select identity.acting_user())
    and principal_id <> (select tenancy.principal_id())
    and principal_id in (select id from identity.api_key where owner_id = (select identity.acting_user())));
-- The operator sets tenants up.
create policy operator on identity.collection_grant to affidavit_owner using (true) with check (true);

grant select, delete on identity.collection_grant to affidavit_runtime;
grant insert (tenant_id, id, collection_id, principal_id, role, access, granted_by, beyond_owner) on identity.collection_grant to affidavit_runtime;
-- Not granted: update.
