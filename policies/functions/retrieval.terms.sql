-- The inverted index of a large tenant, read for a caller.

-- The dimensions of a chunk's terms, as in retrieval.term, for an inverted index of a private partition.
create or replace function retrieval.dimensions(terms public.sparsevec) returns integer[]
language sql immutable strict parallel safe set search_path = pg_catalog, public, pg_temp
as $$
  select array(select split_part(element, ':', 1)::integer - 1
    from unnest(string_to_array(trim(split_part(terms::text, '/', 1), '{}'), ',')) element)
$$;

-- The best of the chunks that have one of some terms, by the inverted index of the tenant's own partition. Row-level security
-- keeps that index from anybody it binds, since array operators are not leakproof; so here the owner applies the policies'
-- conditions, and gives away no more than the ids of chunks that the caller sees anyway.
create or replace function retrieval.chunks_with_terms(wanted integer[], searched uuid[], question public.sparsevec, most integer)
returns setof uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  tenant uuid := tenancy.tenant_id();
  readable uuid[] := tenancy.readable_collections();
  moment timestamptz := tenancy.moment();
begin
  if tenancy.known_at() is not null then -- what was known then, is told by the history and not by a chunk
    return;
  end if;
  return query select c.id from (
      -- "offset 0": no other index is to be read beside the inverted one
      select * from documents.chunk where placement = tenant and retrieval.dimensions(sparse) && wanted offset 0
    ) c
    where c.tenant_id = tenant and c.collection_id = any (readable) and c.collection_id = any (searched)
      and c.effective_from <= moment and c.effective_to > moment
    -- "+ 0": nor is an HNSW index, for this order
    order by (c.sparse operator(public.<#>) question) + 0, c.id limit most;
end
$$;

-- Called by every search of a tenant with a partition of its own, and by every insert into one.
grant execute on function retrieval.dimensions(public.sparsevec), retrieval.chunks_with_terms(integer[], uuid[],
  public.sparsevec, integer) to affidavit_runtime;
-- Nothing here is granted to anyone else.
