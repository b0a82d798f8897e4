-- name: presented_tenant
-- The tenant whose slug or domain somebody presents who signs in.
select id, status, slug from tenancy.presented_tenant()

-- name: presented_user
-- The user whose name somebody presents who signs in to a tenant.
select id, status from identity."user" where tenant_id = $1 and username = $2

-- name: password_hash
-- The password hash of the user who signs in.
select identity.presented_password()

-- name: forgive_sign_in
-- Takes a sign-in that succeeded out of the counts.
select identity.forgive_sign_in($1)

-- name: open_session
-- A new session of the caller.
insert into identity.session (tenant_id, id, user_id, expires_at, method, second_factor, source_address)
values ($1, $2, $3, now() + make_interval(days => $4), $5, $6, $7)

-- name: client_of_session
-- The client that holds a session of the caller; null for the caller's own.
select client_id from identity.session where tenant_id = $1 and id = $2

-- name: given_to_client
-- For what a session of a client is; nulls for one of the caller's own.
select audience, scope from identity.session where tenant_id = $1 and id = $2

-- name: sessions
-- The caller's sessions that have not ended, newest first.
select id, created_at, expires_at, method, second_factor, source_address, client_name as client from identity.session
where tenant_id = $1 and user_id = $2 and revoked_at is null and expires_at > now() order by id desc limit 500

-- name: revoke_other_sessions
-- Ends all sessions of a user but one.
update identity.session set revoked_at = now(), revoked_reason = $4
where tenant_id = $1 and user_id = $2 and revoked_at is null and id is distinct from $3

-- name: set_password
-- Sets the password of the user whom the context names.
select identity.set_password($1)

-- name: presented_reset
-- Whose password the presented link sets.
select tenant_id, user_id from identity.presented_reset()

-- name: may_come_again
-- Whether a refresh token that was used may be used once more: within so many seconds, and while none that followed it was used.
select t.used_at > now() - make_interval(secs => $3) and not exists (select from identity.refresh_token f
  where f.tenant_id = $1 and f.session_id = t.session_id and f.issued_at >= t.used_at and f.used_at is not null)
from identity.refresh_token t where t.tenant_id = $1 and t.id = $2

-- name: add_refresh_token
-- The next refresh token of a session.
insert into identity.refresh_token (tenant_id, id, session_id, digest) values ($1, $2, $3, $4)

-- name: presented_refresh_token
-- The refresh token that is presented, with its session and user.
select tenant_id, id, session_id, user_id from identity.presented_refresh_token()

-- name: use_refresh_token
-- Marks a refresh token as used; no row when it was used before, also by somebody at the same moment.
update identity.refresh_token set used_at = now() where tenant_id = $1 and id = $2 and used_at is null returning id

-- name: revoke_session
-- Ends a session and all its refresh tokens.
update identity.session set revoked_at = now(), revoked_reason = $3 where tenant_id = $1 and id = $2 and revoked_at is null returning id

-- name: collections_by_id
-- Slugs of collections that the caller sees.
select id, slug from documents.collection where tenant_id = $1 and id = any ($2::uuid[]) order by slug

-- name: presented_issuer
-- The provider that the tenant trusts to which somebody signs in.
select id, issuer, client_id, client_secret, scopes, groups_claim, role_of_group, creates_users from identity.presented_issuer()

-- name: provisioned_user
-- The user whom the provider keeps here: the one that a subject is already, or else the first of some ids that the provider gave.
-- Whom another subject signed in as before, a new one is not.
select u.user_id from identity.provisioned_user u
where u.tenant_id = $1 and u.issuer_id = $2 and case when $3::uuid is null then u.external_id = any ($4::text[])
    and not exists (select from identity.external_identity e where e.tenant_id = $1 and e.issuer_id = $2 and e.user_id = u.user_id)
  else u.user_id = $3 end
order by array_position($4::text[], u.external_id) limit 1

-- name: one_at_a_time
-- Lets sign-ins of one subject wait for each other until the transaction ends: also the first, which finds no row to lock.
select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))

-- name: spend
-- Uses something up that works once; false when it was used before.
select identity.spend($1, to_timestamp($2))

-- name: external_user
-- The user who is a subject of the tenant's provider.
select user_id from identity.external_identity where tenant_id = $1 and issuer_id = $2 and subject = $3

-- name: add_external_identity
-- Says which user a subject of the tenant's provider is.
insert into identity.external_identity (tenant_id, issuer_id, subject, user_id) values ($1, $2, $3, $4)

-- name: note_issued
-- Keeps when the newest token of a subject was issued; no row for a token that is older.
update identity.external_identity set last_issued_at = to_timestamp($4)
where tenant_id = $1 and issuer_id = $2 and subject = $3 and last_issued_at <= to_timestamp($4) returning user_id

-- name: add_provider_user
-- A new user whom a provider vouches for; no row when the name is taken, also by somebody at the same moment.
insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, $3, $4)
on conflict (tenant_id, username) do nothing returning id

-- name: open_browser
-- A cookie of a session that was just opened, for who proved so many seconds ago who it is.
insert into identity.browser_session (tenant_id, digest, session_id, opened_at) values ($1, $2, $3, now() - make_interval(secs => $4))

-- name: presented_browser
-- Whose session a presented cookie opens.
select {browser} from identity.presented_browser($1)

-- name: visitor
-- Whose session a presented cookie opens, and that user as a caller if it is the one whom the second context names.
select {visitor} from identity.presented_browser($1) b cross join lateral identity.user_caller($2, b.session_id)
