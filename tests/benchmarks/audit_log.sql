-- name: events
-- Events of 30 days: one of five belongs to tenant 0, the others to all; most are retrievals, one of fifty failed.
insert into audit.event (id, envelope)
select id, json_build_object(
  'v', 1, 'id', id, 'time', to_char(moment at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'tenant', tenant,
  'principal', json_build_object('id', md5(tenant::text || actor)::uuid, 'kind', 'user', 'roles', '["analyst"]'::json,
    'permissions', '["answers:create", "documents:read", "retrieval:query"]'::json, 'collection_count', 2),
  'request_id', md5('request' || n / 2), 'source', '10.0.0.1', 'action', action,
  'outcome', case when action = 'auth:failed' then 'failed' when n % 500 = 0 then 'denied' else 'succeeded' end,
  'retrieval', json_build_object('mode', 'hybrid', 'k', 5, 'chunks', (select json_agg(json_build_object('id', md5(n::text || c)::uuid,
    'doc_id', 'doc-' || (n * 7 + c) % 1000, 'sha256', sha256((n * c)::text::bytea), 'rank', c)) from generate_series(1, 5) as c))
  )::text
from (
  select n, moment, actor, action, tenant, (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '7'
    || substr(md5('a' || n), 1, 3) || '8' || substr(md5('b' || n), 1, 15))::uuid as id
  from (
    select n, now() - interval '30 days' * (1 - n / $3::float8) - interval '1 minute' as moment, (n * 31 / 7) % 40 as actor,
      ($1::uuid[])[case when n % 5 = 0 then 1 else 1 + (n * 13 / 3) % cardinality($1::uuid[]) end] as tenant,
      case when n % 50 = 7 then 'auth:failed' when n % 20 = 3 then 'audit:read' when n % 4 = 2 then 'prompt:submitted'
        when n % 1000 = 9 then 'key:created' else 'retrieval:executed' end as action
    from generate_series($2::bigint, $4::bigint) as n
  ) as drawn
) as named

-- name: documents
-- Five documents of each retrieval, of a thousand.
insert into audit.event_document (tenant_id, doc_id, event_id)
select distinct tenant_id, c ->> 'doc_id', id
from audit.event, json_array_elements(envelope::json #> '{retrieval,chunks}') as c where action = 'retrieval:executed'

-- name: keys
-- A data key of each tenant, for texts that nobody decrypts here.
insert into audit.data_key (tenant_id, id, subject_id, month, wrapped)
select t, t, t, '2000-01-01', '\x00' from unnest($1::uuid[]) as t

-- name: payloads
-- The text of each question.
insert into audit.payload (tenant_id, event_id, name, key_id, ciphertext)
select tenant_id, id, 'question', tenant_id, sha256(id::text::bytea) from audit.event
where action in ('retrieval:executed', 'prompt:submitted')

-- name: terms
-- Eight words of each question; the first words of the vocabulary are the most frequent.
insert into audit.payload_term (tenant_id, term, event_id, name)
select p.tenant_id, w.term, p.event_id, p.name
from audit.payload p
join lateral (select distinct floor(1000 * power(random(), 3))::int as number from generate_series(1, 8) where p.event_id is not null) r on true
join word w on w.tenant_id = p.tenant_id and w.number = r.number
