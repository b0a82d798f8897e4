"""What keys are about to ask of models, reserved from their budgets until it is known what was used."""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = (
    # A reservation that is never settled, as after a crash, counts whole: what was asked may have been paid for.
    """
    create table identity.usage_reservation (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      key_id uuid not null,
      day date not null default (now() at time zone 'UTC')::date,
      tokens bigint not null check (tokens >= 0),
      cost_micros bigint not null check (cost_micros >= 0),
      primary key (tenant_id, id),
      foreign key (tenant_id, key_id) references identity.api_key (tenant_id, id)
    )
    """,
    "create index usage_reservation_key on identity.usage_reservation (tenant_id, key_id, day)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
