-- Uploads that nobody gave to a collection.

-- Forgets the tenant's uploads of more than a day ago, and returns those whose files nothing else refers to.
create or replace function documents.end_stale_uploads() returns setof uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with ended as (
    delete from documents.upload u
    where u.tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('documents:write'))
      and u.created_at <= now() - interval '1 day'
    returning u.id, u.collection_id
  )
  select id from ended where collection_id is null
$$;

grant execute on function documents.end_stale_uploads() to affidavit_runtime;
-- Nothing here is granted to anyone else.
