-- What was erased, sources forget, and bring back no more.

-- Forgets the names of documents, given by id, collection, name and who made each, in the transaction that erases them: what sources
-- held of them, and what runs told. Hashes of the names stay, by which no source of the collection brings one of them back; of a
-- document that came from no source, nothing.
create or replace function sources.forget(documents uuid[], collections uuid[], names text[], creators uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := tenancy.tenant_id();
  items sources.item[];
  paths text[];
begin
  if not tenancy.has_permission('erasure:execute') or tenancy.presented('erasing') is distinct from 'documents' then
    raise exception 'nothing is being erased' using errcode = 'insufficient_privilege';
  end if;
  -- Also those that were not taken, since the name was that of such a document.
  items := array(
    select i from sources.item i join sources.source s on s.tenant_id = i.tenant_id and s.id = i.source_id
    where i.tenant_id = tenant and (i.document_id = any (documents)
      or i.document_id is null and exists (select from unnest(collections, names) as d (collection_id, doc_id)
        where d.collection_id = s.collection_id and d.doc_id = i.doc_id)));
  insert into sources.erased (tenant_id, collection_id, name_sha256)
  select tenant, n.collection_id, sha256(convert_to(n.name, 'UTF8')) from (
    select d.collection_id, d.doc_id as name from unnest(collections, names, creators) as d (collection_id, doc_id, created_by)
    where exists (select from sources.keeper k where k.tenant_id = tenant and k.source_id = d.created_by)
    union
    select s.collection_id, unnest(array[i.doc_id, i.path])
    from unnest(items) i join sources.source s on s.tenant_id = i.tenant_id and s.id = i.source_id
  ) n
  where n.name is not null
  on conflict do nothing;
  paths := array(select left(n, 300) from unnest(names) n union select left(i.path, 300) from unnest(items) i where i.path is not null);
  update sources.run r set changes = (
    select jsonb_agg(case when c.told ->> 'document_id' = any (documents::text[]) or c.told ->> 'path' = any (paths)
      then c.told - 'path' - 'document_id' else c.told end order by c.place)
    from jsonb_array_elements(r.changes) with ordinality as c (told, place))
  where r.tenant_id = tenant and exists (select from jsonb_array_elements(r.changes) as c (told)
    where c.told ->> 'document_id' = any (documents::text[]) or c.told ->> 'path' = any (paths));
  update sources.item i
  set key = null, path = null, doc_id = null, tag = null, content_sha256 = null, reason = null, state = 'erased', changed_at = now()
  where i.tenant_id = tenant and (i.source_id, i.key_sha256) in (select e.source_id, e.key_sha256 from unnest(items) e);
end
$$;

-- Which of these names, as hashes, documents of the collection had that were erased: for a run of its source and nobody else.
create or replace function sources.erased_among(names bytea[]) returns table (name_sha256 bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select e.name_sha256 from sources.erased e
  join sources.source s on s.tenant_id = e.tenant_id and s.collection_id = e.collection_id
  where s.tenant_id = (select tenancy.tenant_id()) and s.id = (select tenancy.principal_id())
    and (select tenancy.context() ->> 'kind') = 'source' and (select tenancy.presented('lease')) is not null
    and e.name_sha256 = any ($1)
$$;

grant execute on function sources.forget(uuid[], uuid[], text[], uuid[]), sources.erased_among(bytea[]) to affidavit_runtime;
-- Nothing here is granted to anyone else.
