"""To show less certain sentences again needs two people."""

from alembic import op

revision = "0022"
down_revision = "0021"

STATEMENTS = (
    # The owner has no policy that lets it add acts, since nothing but a revision does.
    "alter table identity.joint_act no force row level security",
    """
    insert into identity.joint_act (act, sentence) values
      ('support:relax', 'Sentences of a level of support that was not shown are shown when two people ask for it.')
    """,
    "alter table identity.joint_act force row level security",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
