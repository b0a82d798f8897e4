"""Tenants are at home in one cell: which of those whose rows are here are not, and since when."""

from alembic import op

revision = "0024"
down_revision = "0023"

STATEMENTS = (
    # Of one row: the name that the operator gave this database, where it is one of several cells.
    """
    create table tenancy.cell (
      singleton boolean primary key default true check (singleton),
      name text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$')
    )
    """,
    # A tenant that never moved has no row, and is at home here since epoch 1. It refers to no tenant: a row is here before the
    # tenant's own rows come, and after they went. `other_cell` is where it comes from, or goes.
    """
    create table tenancy.residence (
      tenant_id uuid primary key,
      epoch bigint not null check (epoch > 0),
      state text not null check (state in ('arriving', 'home', 'leaving', 'departed')),
      other_cell text not null,
      changed_at timestamptz not null default now(),
      purge_after timestamptz,
      checkpoints_adopted boolean not null default false,
      check ((state = 'departed') = (purge_after is not null))
    )
    """,
    """
    create function tenancy.refuse_absent() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return new; end $$
    """,
    "create trigger at_home before update on tenancy.tenant for each row execute function tenancy.refuse_absent()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
