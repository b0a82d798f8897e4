"""Documents, their versions and chunks, and the term statistics of lexical retrieval."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "create schema retrieval",
    """
    create table documents.document (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      doc_id text not null check (length(doc_id) between 1 and 256),
      source_type text not null,
      title text,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, collection_id, doc_id),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id)
    )
    """,
    # A version that is not approved has no validity: effective_from is infinity, so no moment lies within it.
    """
    create table documents.version (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      number integer not null check (number > 0),
      status text not null check (status in ('draft', 'in_review', 'approved', 'superseded', 'retired', 'rejected')),
      effective_from timestamptz not null default 'infinity',
      effective_to timestamptz not null default 'infinity',
      content_sha256 bytea not null check (octet_length(content_sha256) = 32),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, document_id, number),
      foreign key (tenant_id, document_id) references documents.document (tenant_id, id),
      check (status not in ('draft', 'in_review', 'rejected') or effective_from = 'infinity')
    )
    """,
    # The validity of its version stands again on each chunk, so that one scan of one table decides what is a candidate.
    """
    create table documents.chunk (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      version_id uuid not null,
      ordinal integer not null,
      effective_from timestamptz not null default 'infinity',
      effective_to timestamptz not null default 'infinity',
      source_type text not null,
      text text not null,
      sha256 bytea not null check (octet_length(sha256) = 32),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      embedding_model text not null,
      dense halfvec not null,
      sparse sparsevec(1000000000) not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, version_id, ordinal),
      foreign key (tenant_id, version_id) references documents.version (tenant_id, id)
    )
    """,
    # Scans read every vector of a tenant: inline they are read in page order, toasted each costs a look-up.
    "alter table documents.chunk alter column dense set storage plain",
    "alter table documents.chunk alter column sparse set storage main",
    "alter table documents.chunk set (toast_tuple_target = 4080)",
    # How many chunks of a collection contain a term; per collection, so that nobody's ranking depends on unread text.
    """
    create table retrieval.term (
      tenant_id uuid not null,
      collection_id uuid not null,
      dimension integer not null,
      chunks bigint not null check (chunks >= 0),
      primary key (tenant_id, collection_id, dimension)
    )
    """,
    """
    create table retrieval.collection_size (
      tenant_id uuid not null,
      collection_id uuid not null,
      chunks bigint not null check (chunks >= 0),
      primary key (tenant_id, collection_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
