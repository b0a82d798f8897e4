"""Domains of e-mail addresses by which people name their institution when they sign in."""

from alembic import op

revision = "0026"
down_revision = "0025"

STATEMENTS = (
    # No slug has a dot and each domain has one, so that nobody can mean both. As DNS writes it: lower case, and IDNA in ASCII.
    """
    create table tenancy.domain (
      tenant_id uuid not null references tenancy.tenant (id),
      domain text not null unique check (domain ~ '^[a-z0-9-]+(\\.[a-z0-9-]+)+$' and length(domain) <= 253),
      added_at timestamptz not null default now(),
      primary key (tenant_id, domain)
    )
    """,
    # It returns the slug as well from now on; policies/functions/ makes it anew.
    "drop function if exists tenancy.presented_tenant() cascade",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
