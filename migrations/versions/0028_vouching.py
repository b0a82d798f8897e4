"""Who stood behind a principal and does no more, and that another administrator vouches for a new user."""

from alembic import op

revision = "0028"
down_revision = "0027"

STATEMENTS = (
    # Until when somebody could act as a user, or owned a key: what was done before still counts as that person's.
    """
    create table identity.ended_hand (
      tenant_id uuid not null,
      principal_id uuid not null,
      person_id uuid not null,
      counts_until timestamptz not null,
      primary key (tenant_id, principal_id, person_id, counts_until),
      foreign key (tenant_id, person_id) references identity."user" (tenant_id, id)
    )
    """,
    # Whether its user, or who had a link for that user, has chosen the password; else whoever made the user did.
    # Asked only of who counts as somebody else.
    "alter table identity.password add column chosen boolean not null default false",
    """
    insert into identity.joint_act (act, sentence) values
      ('user:vouch', 'Whom an administrator made or gave a link is a person of its own when another one vouches for it.')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
