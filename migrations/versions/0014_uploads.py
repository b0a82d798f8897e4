"""Files that were uploaded before it is said to which collection they go, as OpenAI's clients upload them."""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    # What it became is kept beside it for the day that an upload lives, so that who waits for it finds it by its id.
    """
    create table documents.upload (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      filename text not null check (length(filename) between 1 and 255),
      media_type text not null check (length(media_type) between 1 and 200),
      size bigint not null check (size > 0),
      sha256 bytea not null check (length(sha256) = 32),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      collection_id uuid,
      document_id uuid,
      job_id uuid,
      document_version integer,
      batch_id uuid,
      primary key (tenant_id, id),
      check (collection_id is null = (document_id is null))
    )
    """,
    "create index upload_age on documents.upload (tenant_id, created_at)",
    "create index upload_batch on documents.upload (tenant_id, batch_id) where batch_id is not null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
