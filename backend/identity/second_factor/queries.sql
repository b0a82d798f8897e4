-- name: second_factor
-- Since when a user has a confirmed second factor.
select confirmed_at from identity.second_factor where tenant_id = $1 and user_id = $2 and confirmed_at is not null

-- name: second_factor_required
-- Whether the tenant asks everybody for a second factor.
select coalesce((select second_factor_required from identity.sign_in_rule where tenant_id = $1), false)

-- name: presented_second_factor
-- The second factor of the user whom the context presents.
select sealed_secret, confirmed, last_step from identity.presented_second_factor()

-- name: begin_second_factor
-- A second factor for the calling user that is not confirmed yet; false when there is a confirmed one.
select identity.begin_second_factor($1)

-- name: confirm_second_factor
-- Confirms it, with the digests of its recovery codes.
select identity.confirm_second_factor($1, $2)

-- name: remove_second_factor
-- Takes a second factor away; false when the caller may not, or there is none.
select identity.remove_second_factor($1)

-- name: take_code
-- Takes a code of a time step; false when it, or a later one, was taken before.
select identity.take_code($1)

-- name: take_recovery_code
-- Takes a recovery code; false when there is none such, or it was taken before.
select identity.take_recovery_code($1)

-- name: require_second_factor
-- Sets whether the tenant asks for a second factor; false when the caller may not.
select identity.require_second_factor($1)

-- name: end_other_sessions
-- Ends the caller's sessions that were opened without the second factor, but not this one.
update identity.session set revoked_at = now(), revoked_reason = 'second factor added'
where tenant_id = $1 and user_id = $2 and revoked_at is null and id is distinct from $3
