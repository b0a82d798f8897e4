"""What is known of embedding models, and which models and sentences a tenant lets answer."""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = (
    # What a model made of a few sentences when it was first asked, one vector after the other.
    """
    create table retrieval.embedder (
      model text primary key check (length(model) between 1 and 300),
      dimensions integer not null check (dimensions between 1 and 4000),
      vectors real[] not null check (cardinality(vectors) % dimensions = 0 and cardinality(vectors) between dimensions and 40000),
      recorded_at timestamptz not null default now()
    )
    """,
    # Null means all that the operator offers.
    """
    create table answers.policy (
      tenant_id uuid primary key references tenancy.tenant (id),
      models text[] check (cardinality(models) between 1 and 16),
      support_levels text[] check (support_levels <@ array['verbatim', 'close', 'judged'] and 'verbatim' = any (support_levels)),
      changed_by uuid not null,
      changed_at timestamptz not null default now()
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
