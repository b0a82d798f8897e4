"""Term statistics of lexical retrieval, and where each tenant's chunks are kept."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "create schema retrieval",
    # How many chunks of a collection contain a term; per collection, so that nobody's ranking depends on unread text.
    """
    create table retrieval.term (
      tenant_id uuid not null,
      collection_id uuid not null,
      dimension integer not null,
      chunks bigint not null check (chunks >= 0),
      primary key (tenant_id, collection_id, dimension)
    ) with (fillfactor = 80)
    """,
    """
    create table retrieval.collection_size (
      tenant_id uuid not null,
      collection_id uuid not null,
      chunks bigint not null check (chunks >= 0),
      primary key (tenant_id, collection_id)
    ) with (fillfactor = 80)
    """,
    # Tenants with a partition of their own, and those on the way there or back; all others share one.
    """
    create table retrieval.placement (
      tenant_id uuid primary key references tenancy.tenant (id),
      state text not null check (state in ('promoting', 'private', 'demoting')),
      indexed_models text[] not null default '{}',
      changed_at timestamptz not null default now()
    )
    """,
    # The dimensions of a chunk's terms, as in retrieval.term, for an inverted index of a private partition.
    """
    create function retrieval.dimensions(terms public.sparsevec) returns integer[]
    language sql immutable strict parallel safe set search_path = pg_catalog, public, pg_temp
    as $$
      select array(select split_part(element, ':', 1)::integer - 1
        from unnest(string_to_array(trim(split_part(terms::text, '/', 1), '{}'), ',')) element)
    $$
    """,
    # The best of the chunks that have one of some terms, by the inverted index of the tenant's own partition. Row-level security
    # keeps that index from anybody it binds, since array operators are not leakproof; so here the owner applies the policies'
    # conditions, and gives away no more than the ids of chunks that the caller sees anyway.
    """
    create function retrieval.chunks_with_terms(wanted integer[], searched uuid[], question public.sparsevec, most integer)
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
    $$
    """,
    # Made apart and then attached: that does not wait for, nor hold up, anybody who reads or writes chunks.
    """
    create function retrieval.create_private_partition(tenant uuid) returns void
    language plpgsql set search_path = pg_catalog, public, pg_temp
    as $$
    declare
      name text := 'chunk_' || translate(tenant::text, '-', '');
    begin
      if to_regclass('documents.' || name) is not null then
        return;
      end if;
      execute format('create table documents.%I (like documents.chunk including defaults including constraints
        including storage, primary key (tenant_id, id), unique (tenant_id, version_id, ordinal))
        with (toast_tuple_target = 2040)', name);
      execute format('alter table documents.%I enable row level security, force row level security', name);
      execute format('alter table documents.chunk attach partition documents.%I for values in (%L)', name, tenant);
    end
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
