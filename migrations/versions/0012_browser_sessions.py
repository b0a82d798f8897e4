"""Sessions of browsers: an opaque cookie in place of tokens."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    """
    create table identity.browser_session (
      tenant_id uuid not null,
      digest bytea not null check (length(digest) = 32),
      session_id uuid not null,
      opened_at timestamptz not null default now(),
      seen_at timestamptz not null default now(),
      primary key (tenant_id, digest),
      foreign key (tenant_id, session_id) references identity.session (tenant_id, id) on delete cascade
    )
    """,
    # Not unique: a digest is looked up before it is known whose it is, and a constraint over tenants would tell of others.
    "create index browser_session_digest on identity.browser_session (digest)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
