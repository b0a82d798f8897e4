"""Budgets of keys: what they may cost a day."""

from alembic import op

revision = "0023"
down_revision = "0022"

STATEMENTS = ("alter table identity.api_key add column cost_per_day_micros bigint check (cost_per_day_micros > 0)",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
