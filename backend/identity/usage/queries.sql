-- name: reserve
-- The budget of the calling key that has no room for so many tokens and so much money; no row when they are reserved.
select budget, used, most from identity.reserve_usage($1, $2, $3)

-- name: settle
-- Ends a reservation.
select identity.settle_usage($1)

-- name: count
-- Ends a reservation and counts what was used.
select identity.settle_usage($1), identity.count_usage($2, $3, $4, $5, $6)

-- name: usage_by
-- What the caller may see of what was asked of models in some days, by one of its sides, in the order of its values.
select g.value, max(g.name) as name, sum(u.requests)::bigint as requests, sum(u.prompt_tokens)::bigint as prompt_tokens,
  sum(u.completion_tokens)::bigint as completion_tokens, sum(u.cost_micros)::bigint as cost_micros
from identity.usage u
left join identity.api_key k on k.tenant_id = u.tenant_id and k.id = u.principal_id
left join identity."user" p on p.tenant_id = u.tenant_id and p.id = u.user_id
cross join lateral (select
  case $2 when 'key' then u.principal_id::text when 'user' then coalesce(u.user_id::text, '') when 'collection' then u.collection
    when 'model' then u.model else u.day::text end as value,
  case $2 when 'key' then k.name when 'user' then p.username end as name) g
where u.tenant_id = $1 and u.day between $3 and $4 and ($2 <> 'key' or u.principal_id is distinct from u.user_id)
  and ($5::text is null or g.value > $5)
group by g.value order by g.value limit $6
