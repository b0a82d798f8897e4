-- name: list_users
-- A page of the tenant's users with their roles, by id, which begins with the time of creation.
select u.id, u.username, u.display_name, u.status, u.created_at,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u where u.tenant_id = $1 and u.id > $2 order by u.id limit $3

-- name: get_user
-- One user with its roles.
select u.id, u.username, u.display_name, u.status, u.created_at,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u where u.tenant_id = $1 and u.id = $2

-- name: add_password
-- The first password hash of a user.
insert into identity.password (tenant_id, user_id, hash) values ($1, $2, $3)

-- name: change_user
-- Name and status of a user.
update identity."user" set display_name = $3, status = $4 where tenant_id = $1 and id = $2

-- name: give_role
-- Gives a user a role.
insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, $3)

-- name: take_role
-- Takes a role away; no row when the caller may not.
delete from identity.user_role where tenant_id = $1 and user_id = $2 and role = $3 returning created_at

-- name: add_ended_role
-- Keeps on record from when until now a user had a role.
insert into identity.ended_role (tenant_id, id, user_id, role, created_at) values ($1, $2, $3, $4, $5)
