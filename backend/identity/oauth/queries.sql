-- name: open_session
-- A session in which a client acts for the caller: with its audience and scope, and the second factor of the sign-in it comes from.
insert into identity.session (tenant_id, id, user_id, expires_at, method, second_factor, source_address, client_id, client_name,
  audience, scope)
values ($1, $2, $3, now() + make_interval(days => $4), $5, $6, $7, $8, $9, $10, $11)

-- name: spend
-- Uses a code up; false when it was used before.
select identity.spend($1, $2)

-- name: own_session
-- How the caller signed in; no row once that session has ended.
select method, second_factor from identity.session
where tenant_id = $1 and id = $2 and revoked_at is null and expires_at > now()

-- name: revoke_session
-- Ends a session and all its tokens.
update identity.session set revoked_at = now(), revoked_reason = $3 where tenant_id = $1 and id = $2 and revoked_at is null returning id

-- name: revoke_client_session
-- Ends a session that one client holds.
update identity.session set revoked_at = now(), revoked_reason = $4
where tenant_id = $1 and id = $2 and client_id = $3 and revoked_at is null returning id

-- name: client_hosts
-- The hosts whose programs the tenant's people may let act for them.
select host, added_by, added_at from identity.client_host where tenant_id = $1 order by host

-- name: add_client_host
-- Allows a host; no row when it is allowed already.
insert into identity.client_host (tenant_id, host, added_by) values ($1, $2, $3)
on conflict (tenant_id, host) do nothing returning host

-- name: hosts_stay
-- Lets nobody take a host away until the transaction ends: a session that is opened meanwhile would outlive it.
select pg_advisory_xact_lock_shared(hashtextextended('client hosts ' || $1::text, 0))

-- name: hosts_change
-- Waits for those who rely on the allowed hosts, as they are now.
select pg_advisory_xact_lock(hashtextextended('client hosts ' || $1::text, 0))

-- name: remove_client_host
-- Allows a host no more; no row when it was not allowed.
delete from identity.client_host where tenant_id = $1 and host = $2 returning host

-- name: end_client_sessions
-- Ends the sessions that programs of a host hold, whoever allowed them.
select identity.end_client_sessions($1)
