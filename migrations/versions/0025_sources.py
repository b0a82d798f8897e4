"""Sources: where a tenant's documents come from by themselves, what was seen there, and each run on record."""

from alembic import op

revision = "0025"
down_revision = "0024"

STATEMENTS = (
    "create schema sources",
    # A source is a principal: a run acts as it, bound to one collection. `responsible_id` is the person who answers for what it
    # writes. Credentials are sealed with the key of the tenant.
    """
    create table sources.source (
      tenant_id uuid not null,
      id uuid not null,
      name text not null check (length(name) between 1 and 100),
      kind text not null check (kind in ('urls', 'sitemap', 's3', 'webdav', 'imap', 'graph')),
      collection_id uuid not null,
      address text not null check (length(address) between 1 and 2000),
      options jsonb not null default '{}',
      sealed bytea,
      has_credentials boolean not null generated always as (sealed is not null) stored,
      source_type text not null,
      metadata jsonb not null default '{}',
      every_minutes integer check (every_minutes between 5 and 43200),
      daily_minute integer check (daily_minute between 0 and 1439),
      next_run_at timestamptz,
      due_at timestamptz generated always as (case when status = 'enabled' then next_run_at end) stored,
      status text not null default 'enabled' check (status in ('enabled', 'disabled')),
      responsible_id uuid not null,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      primary key (tenant_id, id),
      constraint source_name unique (tenant_id, name),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id),
      check (every_minutes is null or daily_minute is null)
    )
    """,
    # Over all tenants, so the runtime role may not read its column: what a plan passes over would tell of others.
    "create index source_due on sources.source (due_at) where due_at is not null",
    # What a source held when it was last looked at. `tag` is what tells a change there, `content_sha256` what it was here. Of one
    # whose document was erased nothing stays but the hash of its key, by which it is known again and left where it is.
    """
    create table sources.item (
      tenant_id uuid not null,
      source_id uuid not null,
      key_sha256 bytea not null check (octet_length(key_sha256) = 32),
      key text,
      path text,
      doc_id text,
      tag text,
      content_sha256 bytea,
      document_id uuid,
      state text not null check (state in ('present', 'refused', 'gone', 'erased')),
      reason text,
      changed_at timestamptz not null default now(),
      primary key (tenant_id, source_id, key_sha256),
      foreign key (tenant_id, source_id) references sources.source (tenant_id, id) on delete cascade,
      check ((state = 'erased') = (key is null)),
      check (state <> 'erased' or path is null and doc_id is null)
    )
    """,
    "create index item_of_document on sources.item (tenant_id, document_id) where document_id is not null",
    # The id of a run is that of its job. `cursor` is from where a later run goes on.
    """
    create table sources.run (
      tenant_id uuid not null,
      id uuid not null,
      source_id uuid not null,
      asked_by uuid,
      dry_run boolean not null default false,
      accept_gone boolean not null default false,
      state text not null default 'waiting' check (state in ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
      reason text,
      counts jsonb,
      changes jsonb,
      cursor text,
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, source_id) references sources.source (tenant_id, id) on delete cascade,
      check ((finished_at is null) = (state in ('waiting', 'running')))
    )
    """,
    "create unique index one_run_at_a_time on sources.run (tenant_id, source_id) where finished_at is null",
    "create index run_newest on sources.run (tenant_id, source_id, id desc)",
    # Everybody who ever made or changed a source, also when it is deleted: none of them is the second person for what it brought.
    """
    create table sources.keeper (
      tenant_id uuid not null,
      source_id uuid not null,
      user_id uuid not null,
      primary key (tenant_id, source_id, user_id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id)
    )
    """,
    # The names of documents that were erased, as hashes: no source of that collection brings them back, neither the one that they
    # came from nor one that is made later.
    """
    create table sources.erased (
      tenant_id uuid not null,
      collection_id uuid not null,
      name_sha256 bytea not null check (octet_length(name_sha256) = 32),
      primary key (tenant_id, collection_id, name_sha256),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id)
    )
    """,
    # A source, which is no user, asks that what it has no more be retired.
    "alter table identity.joint_request drop constraint joint_request_tenant_id_asked_by_fkey",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
