"""What two people of the operator declared that a restored database has lost."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    # Proposed with one operator key and confirmed with another; then the sealer goes on.
    """
    create table audit.restoration (
      id uuid primary key,
      reason text not null check (length(reason) between 3 and 500 and reason !~ '[[:cntrl:]]'),
      proposed_by uuid not null references identity.operator_key (id),
      proposed_at timestamptz not null default now(),
      confirmed_by uuid references identity.operator_key (id) check (confirmed_by <> proposed_by),
      confirmed_at timestamptz check ((confirmed_at is null) = (confirmed_by is null))
    )
    """,
    # The signed declaration of each log: leaves from `size` to before `lost_until` are gone.
    """
    create table audit.declaration (
      tenant_id uuid not null,
      id uuid not null,
      restoration_id uuid not null references audit.restoration (id),
      size bigint not null check (size >= 0),
      lost_until bigint not null check (lost_until > size),
      note text not null,
      declared_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )
    """,
    "create trigger no_change before update or delete on audit.declaration for each row execute function audit.refuse_change()",
    "create trigger no_truncate before truncate on audit.declaration execute function audit.refuse_change()",
    "alter table audit.declaration enable always trigger no_change",
    "alter table audit.declaration enable always trigger no_truncate",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
