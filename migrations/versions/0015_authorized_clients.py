"""Programs that people let act for them: for what a session was given to one, and the hosts that a tenant allows."""

from alembic import op

revision = "0015"
down_revision = "0014"

STATEMENTS = (
    """
    alter table identity.session
      add column client_id text,
      add column client_name text,
      add column audience text,
      add column scope text[],
      add constraint session_of_client check (num_nulls(client_id, client_name, audience, scope) in (0, 4)) not valid
    """,
    """
    create table identity.client_host (
      tenant_id uuid not null references tenancy.tenant (id),
      host text not null check (host ~ '^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$'),
      added_by uuid not null,
      added_at timestamptz not null default now(),
      primary key (tenant_id, host)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
