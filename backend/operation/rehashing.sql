-- name: tenants_at_home
-- Whose texts are here.
select id from tenancy.tenant where tenancy.is_home(id) order by id

-- name: searched_texts
-- Some encrypted texts that are found by their words, in order, with their keys and what they are filtered by.
with found as materialized (
  select p.event_id, p.name, p.ciphertext, p.key_id, p.terms from audit.payload p
  where p.tenant_id = $1 and (p.event_id, p.name) > ($2, $3) and p.name = any ($4::text[])
  order by p.event_id, p.name limit 200
)
select f.event_id, f.name, f.ciphertext, f.key_id, f.terms, k.wrapped, e.action, e.outcome, e.principal_id
from found f
join audit.event e on e.tenant_id = $1 and e.id = f.event_id
join audit.revealed_keys(array(select distinct key_id from found)) k on k.id = f.key_id
order by f.event_id, f.name

-- name: replace_words
-- Other words of a text, if it is still there.
with text as (
  update audit.payload set terms = $4 where tenant_id = $1 and event_id = $2 and name = $3 returning tenant_id, event_id, name
), gone as (
  delete from audit.payload_term t using text
  where t.tenant_id = text.tenant_id and t.event_id = text.event_id and t.name = text.name and t.term <> all ($4::bigint[])
)
insert into audit.payload_term (tenant_id, term, event_id, name, action, outcome, principal_id)
select text.tenant_id, term, text.event_id, text.name, $5, $6, $7 from text cross join unnest($4::bigint[]) as term
on conflict do nothing

-- name: count_texts
-- How many texts of a tenant hold the mark of a key, how many do not, and how many that of another one.
select count(*) filter (where $3::bigint = any (terms)) as found,
  count(*) filter (where ($3::bigint = any (terms)) is not true) as not_found,
  count(*) filter (where terms && $4::bigint[]) as by_others
from audit.payload where tenant_id = $1 and name = any ($2::text[])
