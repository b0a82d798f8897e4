-- name: one_change_at_a_time
-- Lets changes of one provider wait for each other until the transaction ends: who is in which group decides who has which role.
select pg_advisory_xact_lock(hashtextextended('provisioning ' || $1::text, 0))

-- name: find_users
-- A page of the provider's users with their groups, oldest first, and how many there are; each condition counts if it is given.
select u.user_id as id, u.user_name, u.external_id, u.attributes, u.created_at, u.changed_at, p.status = 'active' as active,
  (select coalesce(jsonb_agg(jsonb_build_array(g.id, g.display_name) order by g.id), '[]') from identity.provisioned_member m
    join identity.provisioned_group g on g.tenant_id = $1 and g.id = m.group_id
    where m.tenant_id = $1 and m.user_id = u.user_id) as groups,
  count(*) over () as total
from identity.provisioned_user u join identity."user" p on p.tenant_id = $1 and p.id = u.user_id
where u.tenant_id = $1 and u.issuer_id = $2 and ($3::uuid is null or u.user_id = $3)
  and ($4::text is null or p.username = $4) and ($5::text is null or u.external_id = $5)
  and ($6::text is null or lower(u.attributes ->> 'displayName') = lower($6))
order by u.user_id limit $7 offset $8

-- name: known_subject
-- The user whom a subject of the provider signed in as before, if the provider does not keep it yet.
select e.user_id from identity.external_identity e
where e.tenant_id = $1 and e.issuer_id = $2 and e.subject = $3
  and not exists (select from identity.provisioned_user u where u.tenant_id = $1 and u.user_id = e.user_id)

-- name: add_person
-- A new user, who signs in through the provider.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)

-- name: add_user
-- What the provider says of a user.
insert into identity.provisioned_user (tenant_id, user_id, issuer_id, user_name, external_id, attributes) values ($1, $2, $3, $4, $5, $6)

-- name: change_user
-- What the provider says of a user from now on.
update identity.provisioned_user set user_name = $3, external_id = $4, attributes = $5, changed_at = now() where tenant_id = $1 and user_id = $2

-- name: change_person
-- How a user is called, and whether it may sign in.
update identity."user" set display_name = $3, status = $4 where tenant_id = $1 and id = $2

-- name: rename_user
-- Gives a user of the provider another name.
select identity.rename_provisioned_user($1, $2)

-- name: remove_user
-- Forgets what the provider said of a user.
delete from identity.provisioned_user where tenant_id = $1 and user_id = $2

-- name: find_groups
-- A page of the provider's groups, oldest first, and how many there are; each condition counts if it is given.
select g.id, g.display_name, g.external_id, g.created_at, g.changed_at, count(*) over () as total
from identity.provisioned_group g
where g.tenant_id = $1 and g.issuer_id = $2 and ($3::uuid is null or g.id = $3)
  and ($4::text is null or lower(g.display_name) = lower($4)) and ($5::text is null or g.external_id = $5)
  and ($6::uuid is null or exists (select from identity.provisioned_member m where m.tenant_id = $1 and m.group_id = g.id and m.user_id = $6))
order by g.id limit $7 offset $8

-- name: members
-- The members of some groups.
select group_id, user_id from identity.provisioned_member where tenant_id = $1 and group_id = any ($2::uuid[]) order by group_id, user_id

-- name: add_group
-- A new group.
insert into identity.provisioned_group (tenant_id, id, issuer_id, display_name, external_id) values ($1, $2, $3, $4, $5)

-- name: change_group
-- What a group is called.
update identity.provisioned_group set display_name = $3, external_id = $4, changed_at = now() where tenant_id = $1 and id = $2

-- name: remove_group
-- Deletes a group and who is in it.
delete from identity.provisioned_group where tenant_id = $1 and id = $2

-- name: add_members
-- Puts users into a group.
insert into identity.provisioned_member (tenant_id, group_id, user_id) select $1, $2, unnest($3::uuid[])

-- name: remove_members
-- Takes users out of a group.
delete from identity.provisioned_member where tenant_id = $1 and group_id = $2 and user_id = any ($3::uuid[])

-- name: roles_to_settle
-- Of some users, those whose roles are not the ones that their groups stand for, with those that they are to have.
select user_id, has from identity.roles_to_settle($1::uuid[]) order by user_id

-- name: bearers
-- The provider's bearers, newest first.
select id, name, created_at, expires_at, revoked_at, last_used_at from identity.scim_bearer where tenant_id = $1 order by id desc

-- name: revoke_bearer
-- Ends a bearer; no row when there is none to end.
update identity.scim_bearer set revoked_at = now() where tenant_id = $1 and id = $2 and revoked_at is null returning name

-- name: user_counts
-- How many users the provider keeps here, and how many of them may not sign in.
select count(*) as users, count(*) filter (where p.status <> 'active') as inactive
from identity.provisioned_user u join identity."user" p on p.tenant_id = $1 and p.id = u.user_id where u.tenant_id = $1

-- name: group_counts
-- The provider's groups by name, with how many users are in each.
select g.id, g.display_name as name, g.external_id,
  (select count(*) from identity.provisioned_member m where m.tenant_id = $1 and m.group_id = g.id) as members
from identity.provisioned_group g where g.tenant_id = $1 order by g.display_name, g.id limit 500
