"""Checkpoint keys that took each other's place, and operator keys that have two secrets for a while."""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = (
    # The signed handovers from one checkpoint key to the next: the same for all tenants, and secret from none.
    """
    create table audit.handover (
      id uuid primary key,
      note text not null unique,
      made_at timestamptz not null default now()
    )
    """,
    "create trigger no_change before update or delete on audit.handover for each row execute function audit.refuse_change()",
    "create trigger no_truncate before truncate on audit.handover execute function audit.refuse_change()",
    "alter table audit.handover enable always trigger no_change",
    "alter table audit.handover enable always trigger no_truncate",
    # The earlier secret of a key that was rotated holds until `earlier_until`.
    """
    alter table identity.operator_key
      add column earlier_digest bytea check (octet_length(earlier_digest) = 32),
      add column earlier_until timestamptz,
      add column rotated_at timestamptz,
      add constraint operator_key_earlier check (num_nulls(earlier_digest, earlier_until) in (0, 2)) not valid
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
