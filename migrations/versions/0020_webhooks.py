"""Webhooks: where a tenant wants to be told of what happens, and what was sent there."""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = (
    "create schema webhooks",
    # `position` is the leaf of the sealed log from which on the endpoint is to be told, `turns_position` the same for prompts
    # that got no answer. What lies before `replayed_to` was read before, and is sent again.
    """
    create table webhooks.endpoint (
      tenant_id uuid not null,
      id uuid not null,
      url text not null check (length(url) between 1 and 2000),
      description text check (length(description) between 1 and 200),
      kinds text[] not null check (cardinality(kinds) > 0),
      status text not null default 'enabled' check (status in ('enabled', 'disabled')),
      disabled_because text check (disabled_because in ('asked', 'failing', 'gone')),
      position bigint not null check (position >= 0),
      turns_position bigint not null check (turns_position >= 0),
      replayed_to bigint not null default 0 check (replayed_to >= 0),
      created_by uuid not null,
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      failing_since timestamptz,
      delivered_at timestamptz,
      served_at timestamptz,
      lease_id uuid,
      leased_until timestamptz,
      primary key (tenant_id, id),
      check ((status = 'disabled') = (disabled_because is not null))
    )
    """,
    # Sealed with the key of the tenant. An earlier one still signs for a while.
    """
    create table webhooks.secret (
      tenant_id uuid not null,
      id uuid not null,
      endpoint_id uuid not null,
      sealed bytea not null,
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, endpoint_id) references webhooks.endpoint (tenant_id, id) on delete cascade
    )
    """,
    "create index secret_of_endpoint on webhooks.secret (tenant_id, endpoint_id)",
    # `place` is the leaf of the log that it tells of; none for what the log does not hold. The body stays as it was first sent.
    """
    create table webhooks.delivery (
      tenant_id uuid not null,
      endpoint_id uuid not null,
      id uuid not null,
      kind text not null,
      event_id uuid,
      place bigint,
      body text not null check (octet_length(body) <= 32768),
      state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed', 'dead')),
      attempts integer not null default 0 check (attempts >= 0),
      created_at timestamptz not null default now(),
      attempted_at timestamptz,
      next_attempt_at timestamptz default now(),
      ended_at timestamptz,
      response_status integer,
      failure text,
      primary key (tenant_id, endpoint_id, id),
      foreign key (tenant_id, endpoint_id) references webhooks.endpoint (tenant_id, id) on delete cascade,
      check ((next_attempt_at is null) = (state in ('delivered', 'dead'))),
      check ((ended_at is null) = (next_attempt_at is not null))
    )
    """,
    """
    create index delivery_due on webhooks.delivery (tenant_id, endpoint_id, next_attempt_at, place)
      where next_attempt_at is not null
    """,
    "create index delivery_ended on webhooks.delivery (tenant_id, endpoint_id, ended_at) where ended_at is not null",
    "create index delivery_newest on webhooks.delivery (tenant_id, endpoint_id, created_at desc, id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
