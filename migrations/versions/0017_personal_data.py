"""What a collection wants done about personal data, and how much of which kind a version holds."""

from alembic import op

revision = "0017"
down_revision = "0016"

STATEMENTS = (
    """
    alter table documents.collection add column personal_data text not null default 'tell'
      check (personal_data in ('tell', 'mask', 'refuse'))
    """,
    """
    alter table documents.version add column personal_data jsonb not null default '{}'
      check (jsonb_typeof(personal_data) = 'object' and pg_column_size(personal_data) < 4096)
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
