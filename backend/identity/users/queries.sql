-- name: list_users
-- A page of the tenant's users with their roles, by id, which begins with the time of creation. Deleted ones only on request.
select u.id, u.username, u.display_name, u.status, u.created_at, u.credentials_of as counts_as,
  exists (select from identity.second_factor f where f.tenant_id = $1 and f.user_id = u.id and f.confirmed_at is not null) as second_factor,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u
where u.tenant_id = $1 and u.id > $2 and u.status = coalesce($4, u.status) and ($4 is not null or u.status <> 'deleted')
  and ($5::text is null or strpos(u.username, lower($5)) > 0 or strpos(lower(u.display_name), lower($5)) > 0)
  and ($6::text is null or exists (select from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id and r.role = $6))
order by u.id limit $3

-- name: get_user
-- One user with its roles.
select u.id, u.username, u.display_name, u.status, u.created_at, u.credentials_of as counts_as,
  exists (select from identity.second_factor f where f.tenant_id = $1 and f.user_id = u.id and f.confirmed_at is not null) as second_factor,
  array(select r.role from identity.user_role r where r.tenant_id = $1 and r.user_id = u.id order by r.role) as roles
from identity."user" u where u.tenant_id = $1 and u.id = $2

-- name: add_user
-- A new user, of whom the database notes who made it.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)

-- name: add_password
-- The first password hash of a user.
insert into identity.password (tenant_id, user_id, hash) values ($1, $2, $3)

-- name: add_reset
-- A one-time link with which a user chooses a password.
insert into identity.password_reset (tenant_id, id, user_id, digest, made_by, expires_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))

-- name: change_user
-- Name and status of a user.
update identity."user" set display_name = $3, status = $4 where tenant_id = $1 and id = $2

-- name: delete_user
-- Forgets a user without roles; false when there is none to forget.
select identity.delete_user($1)

-- name: vouch_for
-- Makes a user a person of its own; false when the caller may not.
select identity.vouch_for($1)

-- name: give_role
-- Gives a user a role.
insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, $3)

-- name: take_role
-- Takes a role away; no row when the caller may not.
delete from identity.user_role where tenant_id = $1 and user_id = $2 and role = $3 returning created_at

-- name: add_ended_role
-- Keeps on record from when until now a user had a role.
insert into identity.ended_role (tenant_id, id, user_id, role, created_at) values ($1, $2, $3, $4, $5)
