-- name: data_key
-- The wrapped data key of the context's data subject for a month, and whether it outlives this transaction.
select id, wrapped, committed from audit.own_data_key($1)

-- name: add_data_key
-- A new data key, unless another transaction was first.
insert into audit.data_key (tenant_id, id, subject_id, month, wrapped) values ($1, $2, $3, $4, $5)
on conflict (tenant_id, subject_id, month) do nothing

-- name: add_event
-- One event with its payloads, and what it is to be found by, in one round trip.
with payloads as (
  insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext, terms)
  select $3, $1, name, key_id, ciphertext, (select array_agg(term) from unnest($8::text[], $9::bigint[]) as t (text, term) where text = name)
  from unnest($5::uuid[], $6::text[], $7::bytea[]) as p (key_id, name, ciphertext)
), unindexed as (
  insert into audit.unindexed (tenant_id, event_id, doc_ids, action, outcome, principal_id)
  select $3, $1, $4, $10, $11, $12 where $4::text[] <> '{}' or $9::bigint[] <> '{}'
)
insert into audit.event (id, envelope) values ($1, $2)

-- name: holds_on
-- Whether a hold applies to a subject.
select exists (select from audit.hold where tenant_id = $1 and released_at is null and (subject_id is null or subject_id = $2))
