"""What a version lacks of its file, and which of that a collection does not take."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    """
    alter table documents.version add column warnings jsonb not null default '[]'
      check (jsonb_typeof(warnings) = 'array' and pg_column_size(warnings) < 1048576)
    """,
    "alter table documents.collection add column refused_warnings text[] not null default '{}'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
