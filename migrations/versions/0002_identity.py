"""Users, roles, sessions, API keys and grants."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "create schema identity",
    "create schema documents",
    """
    create table identity."user" (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      username text not null check (username ~ '^[a-z0-9][a-z0-9._@+-]{0,127}$'),
      display_name text not null default '',
      status text not null default 'active' check (status in ('active', 'disabled')),
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, username)
    )
    """,
    # Apart from the user, so that no permission at all lets a signed-in caller read it.
    """
    create table identity.password (
      tenant_id uuid not null,
      user_id uuid not null,
      hash text not null,
      changed_at timestamptz not null default now(),
      primary key (tenant_id, user_id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.user_role (
      tenant_id uuid not null,
      user_id uuid not null,
      role text not null check (role in ('admin', 'editor', 'approver', 'analyst', 'compliance', 'partner')),
      created_at timestamptz not null default now(),
      primary key (tenant_id, user_id, role),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    # Roles that were taken away: with those of today they say who had which role at any moment.
    """
    create table identity.ended_role (
      tenant_id uuid not null,
      id uuid not null,
      user_id uuid not null,
      role text not null,
      created_at timestamptz not null,
      ended_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.session (
      tenant_id uuid not null,
      id uuid not null,
      user_id uuid not null,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      revoked_at timestamptz,
      revoked_reason text,
      primary key (tenant_id, id),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.refresh_token (
      tenant_id uuid not null,
      id uuid not null,
      session_id uuid not null,
      lookup_id text not null,
      digest bytea not null check (octet_length(digest) = 32),
      issued_at timestamptz not null default now(),
      used_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, session_id) references identity.session (tenant_id, id) on delete cascade
    )
    """,
    "create index refresh_token_lookup on identity.refresh_token (lookup_id)",
    """
    create table documents.collection (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
      name text not null,
      language text not null default 'english',
      approval_required boolean not null default false,
      approvers integer not null default 1 check (approvers between 1 and 9),
      metadata_schema jsonb check (jsonb_typeof(metadata_schema) = 'object'),
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, slug)
    )
    """,
    """
    create table identity.api_key (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      name text not null check (length(name) between 1 and 100),
      lookup_id text not null,
      digest bytea not null check (octet_length(digest) = 32),
      permissions text[] not null,
      created_by uuid,
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      revoked_at timestamptz,
      last_used_at timestamptz,
      primary key (tenant_id, id)
    )
    """,
    "create index api_key_lookup on identity.api_key (lookup_id)",
    # Reading and writing a collection is granted to one principal (a user or a key) or to a role.
    """
    create table identity.collection_grant (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      principal_id uuid,
      role text check (role in ('admin', 'editor', 'approver', 'analyst', 'compliance', 'partner')),
      access text not null check (access in ('read', 'write')),
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id) on delete cascade,
      check (num_nonnulls(principal_id, role) = 1)
    )
    """,
    """
    create unique index collection_grant_once
      on identity.collection_grant (tenant_id, collection_id, principal_id, role, access) nulls not distinct
    """,
    # Grants that were withdrawn: with those of today they say who could read what at any moment.
    """
    create table identity.ended_grant (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      principal_id uuid,
      role text,
      access text not null,
      created_at timestamptz not null,
      ended_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id) on delete cascade
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
