-- name: data_keys
-- Some wrapped keys of texts, in order.
select tenant_id, id, wrapped from audit.data_key where (tenant_id, id) > ($1, $2) order by tenant_id, id limit 500

-- name: rewrap_data_key
-- Another wrapping of the same key, unless somebody was first.
update audit.data_key set wrapped = $4 where tenant_id = $1 and id = $2 and wrapped = $3

-- name: file_keys
-- Some wrapped keys of files, in order.
select tenant_id, id, wrapped from storage.data_key where (tenant_id, id) > ($1, $2) order by tenant_id, id limit 500

-- name: rewrap_file_key
-- Another wrapping of the same key, unless somebody was first.
update storage.data_key set wrapped = $4 where tenant_id = $1 and id = $2 and wrapped = $3

-- name: client_secrets
-- Some sealed secrets of clients of identity providers, in order.
select tenant_id, id, client_secret as wrapped from identity.issuer
where client_secret is not null and (tenant_id, id) > ($1, $2) order by tenant_id, id limit 500

-- name: rewrap_client_secret
-- Another sealing of the same secret, unless somebody was first.
update identity.issuer set client_secret = $4 where tenant_id = $1 and id = $2 and client_secret = $3

-- name: second_factors
-- Some sealed secrets of second factors, in order.
select tenant_id, user_id as id, sealed_secret as wrapped from identity.second_factor
where (tenant_id, user_id) > ($1, $2) order by tenant_id, user_id limit 500

-- name: rewrap_second_factor
-- Another sealing of the same secret, unless somebody was first.
update identity.second_factor set sealed_secret = $4 where tenant_id = $1 and user_id = $2 and sealed_secret = $3

-- name: context_keys
-- The keys that contexts are verified with, and until when, oldest first.
select id, created_at, retired_at from tenancy.context_key
where retired_at is null or retired_at > now() order by created_at, id

-- name: add_context_key
-- One more key that contexts are verified with.
insert into tenancy.context_key (id, inner_pad, outer_pad) values ($1, $2, $3)
on conflict (id) do update set retired_at = null

-- name: retire_context_key
-- Ends a key once contexts that it signed have expired; no row when it is none of several that live.
update tenancy.context_key set retired_at = now() + interval '2 minutes'
where id = $1 and retired_at is null
  and exists (select from tenancy.context_key o where o.id <> $1 and o.retired_at is null)
returning retired_at

-- name: handovers
-- Which checkpoint keys took each other's place, oldest first.
select note, made_at from audit.handover order by made_at, id

-- name: operator_keys_in_use
-- The operator keys that live, and since when their newest secret has been.
select name, coalesce(rotated_at, created_at) as since, case when earlier_until > now() then earlier_until end as earlier_until
from identity.operator_key where revoked_at is null order by name
