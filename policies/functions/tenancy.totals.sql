-- What whoever watches the deployment counts of all tenants together. It names none of them.

-- Jobs by kind and status, with the age of the oldest in seconds; and, without a kind, tenants by how many chunks they hold.
create or replace function tenancy.totals() returns table (kind text, band text, number bigint, oldest double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select j.kind, j.status, count(*), extract(epoch from clock_timestamp() - min(j.created_at))::double precision
  from jobs.job j group by j.kind, j.status
  union all
  select null, t.band, count(*), null
  from (
    select case when coalesce(sum(s.chunks), 0) = 0 then '0' when sum(s.chunks) < 1000 then '1-999'
      when sum(s.chunks) < 12000 then '1000-11999' when sum(s.chunks) < 100000 then '12000-99999' else '100000+' end as band
    from tenancy.tenant t left join retrieval.collection_size s on s.tenant_id = t.id group by t.id
  ) t group by t.band
$$;

grant execute on function tenancy.totals() to affidavit_sealer, affidavit_operator;
-- Not granted: to the role that serves tenants, since totals tell how much others do.
