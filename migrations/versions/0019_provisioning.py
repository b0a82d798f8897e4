"""Provisioning: the bearers of a tenant's provider, and the users and groups that it keeps here."""

from alembic import op

revision = "0019"
down_revision = "0018"

STATEMENTS = (
    # Who presents one speaks as the provider. Whoever no longer trusts the provider takes its bearers away.
    """
    create table identity.scim_bearer (
      tenant_id uuid not null,
      id uuid not null,
      issuer_id uuid not null,
      name text not null check (length(name) between 1 and 100),
      lookup_id text not null,
      digest bytea not null check (octet_length(digest) = 32),
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      revoked_at timestamptz,
      last_used_at timestamptz,
      primary key (tenant_id, id),
      constraint scim_bearer_name unique (tenant_id, name),
      foreign key (tenant_id, issuer_id) references identity.issuer (tenant_id, id) on delete cascade
    )
    """,
    # Across tenants, for who is not known yet; the runtime role may not select the column, so EXPLAIN cannot ask the index.
    "create index scim_bearer_digest on identity.scim_bearer (digest)",
    # What the provider says of a user, beside what every user has.
    """
    create table identity.provisioned_user (
      tenant_id uuid not null,
      user_id uuid not null,
      issuer_id uuid not null,
      user_name text not null check (length(user_name) between 1 and 128),
      external_id text check (length(external_id) between 1 and 255),
      attributes jsonb not null check (jsonb_typeof(attributes) = 'object'),
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      primary key (tenant_id, user_id),
      constraint provisioned_user_external_id unique (tenant_id, issuer_id, external_id),
      foreign key (tenant_id, issuer_id) references identity.issuer (tenant_id, id) on delete cascade,
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.provisioned_group (
      tenant_id uuid not null,
      id uuid not null,
      issuer_id uuid not null,
      display_name text not null check (length(display_name) between 1 and 256),
      external_id text check (length(external_id) between 1 and 255),
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, issuer_id) references identity.issuer (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.provisioned_member (
      tenant_id uuid not null,
      group_id uuid not null,
      user_id uuid not null,
      primary key (tenant_id, group_id, user_id),
      foreign key (tenant_id, group_id) references identity.provisioned_group (tenant_id, id) on delete cascade,
      foreign key (tenant_id, user_id) references identity.provisioned_user (tenant_id, user_id) on delete cascade
    )
    """,
    "create index provisioned_member_user on identity.provisioned_member (tenant_id, user_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
