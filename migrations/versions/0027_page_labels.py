"""What a file calls its pages, and how sure recognition is of text that stands in a picture."""

from alembic import op

revision = "0027"
down_revision = "0026"

# Without a constraint, which would read every chunk while the table is locked.
STATEMENTS = ("alter table documents.chunk add column page_label text, add column recognition_confidence smallint",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
