-- name: user_caller
-- The user that a context names as a caller: status, roles, and the collections granted to it or to one of its roles. Without a
-- context, the one to which the transaction is bound.
select * from identity.user_caller($1, $2)

-- name: add_user
-- A new user.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)
