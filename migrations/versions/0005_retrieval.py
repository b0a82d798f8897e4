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
        including storage) with (toast_tuple_target = 2040)', name);
      execute format('alter table documents.%I enable row level security, force row level security', name);
      execute format('alter table documents.chunk attach partition documents.%I for values in (%L)', name, tenant);
    end
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
