-- name: dropped
-- How constraints, indexes, generation and the write-ahead log of tables are given up, and how indexes are created again.
select dropping, restoring from (
  select 1 as step, format('alter table %s drop constraint %I', conrelid::regclass, conname) as dropping,
    case contype when 'p' then format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) end as restoring
  from pg_constraint where conrelid = any (array(select ('audit.' || t)::regclass from unnest($1::text[]) as t)) and contype in ('p', 'f', 'c')
  union all
  select 2, format('drop index %s', i.indexrelid::regclass), replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
  from pg_index i where i.indrelid = any (array(select ('audit.' || t)::regclass from unnest($1::text[]) as t)) and not i.indisprimary
  union all
  select 3, format('alter table %s alter column %I drop expression', attrelid::regclass, attname), null
  from pg_attribute where attrelid = any (array(select ('audit.' || t)::regclass from unnest($1::text[]) as t)) and attgenerated <> ''
  union all
  select 4, format('alter table %s set unlogged', oid::regclass), null from pg_class
  where relkind = 'r' and (oid = any (array(select ('audit.' || t)::regclass from unnest($1::text[]) as t)) or oid in (
    select inhrelid from pg_inherits where inhparent = any (array(select ('audit.' || t)::regclass from unnest($1::text[]) as t))))
) as dropped order by step

-- name: documents_of
-- Which of a thousand documents the n-th passage of an event is of; the first few documents are found most.
create function pg_temp.document_of(h text, n int) returns text language sql immutable
return 'doc-' || floor(1000 * power(('x' || substr(h, 1 + 6 * n, 6))::bit(24)::int / 16777216.0::float8, 2))::int

-- name: events
-- Events of 30 days. Sizes of tenants follow Zipf's law; most events are retrievals and prompts, one of fifty failed.
insert into audit.event (id, envelope, tenant_id, occurred_at, action, outcome, principal_id, request_id, turn)
select id, '{"action":"' || action || '","id":"' || id || '","outcome":"' || outcome || '","payloads":{"question":{"bytes":48,"commitment":"'
  || h || h || '"}},"principal":{"collection_count":2,"id":"' || principal || '","kind":"user","permissions":["answers:create",'
  || '"documents:read","retrieval:query"],"roles":["analyst"]},"request_id":"' || request || '","retrieval":{"chunks":['
  || '{"doc_id":"' || pg_temp.document_of(h, 0) || '","id":"' || principal || '","rank":1,"sha256":"' || h || h || '"},'
  || '{"doc_id":"' || pg_temp.document_of(h, 1) || '","id":"' || principal || '","rank":2,"sha256":"' || h || h || '"},'
  || '{"doc_id":"' || pg_temp.document_of(h, 2) || '","id":"' || principal || '","rank":3,"sha256":"' || h || h || '"}],'
  || '"k":3,"mode":"hybrid"},"source":"10.0.0.1","tenant":"' || tenant || '","time":"'
  || to_char(moment at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","v":1}',
  tenant, moment, action, outcome, principal, request, case when action in ('prompt:submitted', 'answer:returned') then id end
from (
  select *, (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid as id,
    (lpad(to_hex(rank), 8, '0') || repeat('0', 20) || lpad(to_hex(floor(40 * power(random(), 2))::int), 4, '0'))::uuid as principal,
    ($1::uuid[])[rank] as tenant, md5((n / 3)::text) as request,
    case when action = 'auth:failed' then 'failed' when n % 500 = 0 then 'denied' else 'succeeded' end as outcome
  from (
    select n, md5(n::text) as h, now() - interval '30 days' * (1 - n / $3::float8) - interval '1 minute' as moment,
      floor(power(cardinality($1::uuid[]) + 1, random()))::int as rank,
      case when n % 50 = 7 then 'auth:failed' when n % 20 = 3 then 'audit:read' when n % 1000 = 9 then 'key:created'
        when n % 4 = 2 then 'prompt:submitted' when n % 4 = 1 then 'answer:returned' else 'retrieval:executed' end as action
    from generate_series($2::bigint, $4::bigint) as n
  ) as drawn
) as named

-- name: documents
-- Three documents of each retrieval, prompt and answer.
insert into audit.event_document (tenant_id, doc_id, event_id, action, outcome, principal_id)
select tenant_id, document, id, action, outcome, principal_id
from (select *, substring(envelope, '"commitment":"(.{32})') as h from audit.event
  where action in ('retrieval:executed', 'prompt:submitted', 'answer:returned')) as e
join lateral (select distinct pg_temp.document_of(h, n) as document from generate_series(0, 2) as n) as d on true

-- name: terms
-- About eight words of each text; the first words of the vocabulary are the most frequent.
insert into audit.payload_term (tenant_id, term, event_id, name, action, outcome, principal_id)
select w.tenant_id, w.term, e.id, 'question', e.action, e.outcome, e.principal_id
from (select * from audit.event where action in ('retrieval:executed', 'prompt:submitted', 'answer:returned')) as e
join lateral (
  select distinct floor(1000 * power(random(), 3))::int as number from generate_series(1, 8) where e.id is not null
) as r on true
join pg_temp.word w on w.tenant_id = e.tenant_id and w.number = r.number

-- name: generate
-- Fills in for new events what is generated in a real log.
create function audit.generate() returns trigger language plpgsql as $$
declare said jsonb := new.envelope;
begin
  new.tenant_id := said ->> 'tenant'; new.occurred_at := said ->> 'time'; new.action := said ->> 'action';
  new.outcome := said ->> 'outcome'; new.principal_id := said #>> '{principal,id}'; new.request_id := said ->> 'request_id';
  new.turn := said ->> 'turn'; new.model := said #>> '{answer,model_served}'; new.conversation := said ->> 'conversation';
  new.end_user := said #>> '{principal,on_behalf_of,subject}';
  return new;
end $$;
grant execute on function audit.generate() to affidavit_runtime;
create trigger generate before insert on audit.event for each row execute function audit.generate()
