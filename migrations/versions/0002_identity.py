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
      role text not null check (role in ('admin', 'editor', 'approver', 'analyst', 'compliance', 'privacy', 'partner')),
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
      check (expires_at <= created_at + interval '90 days'),
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create table identity.refresh_token (
      tenant_id uuid not null,
      id uuid not null,
      session_id uuid not null,
      digest bytea not null check (octet_length(digest) = 32),
      issued_at timestamptz not null default now(),
      used_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, session_id) references identity.session (tenant_id, id) on delete cascade
    )
    """,
    # Across tenants, for who is not known yet; the runtime role may not select the column, so EXPLAIN cannot ask the index.
    "create index refresh_token_digest on identity.refresh_token (digest)",
    """
    create function identity.presented_refresh_token()
    returns table (tenant_id uuid, id uuid, session_id uuid, user_id uuid)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
      select t.tenant_id, t.id, t.session_id, s.user_id
      from identity.refresh_token t join identity.session s on s.tenant_id = t.tenant_id and s.id = t.session_id
      where t.digest = decode((select tenancy.presented('digest')), 'hex')
    $$
    """,
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
      permissions text[] not null,
      allowed_networks cidr[] not null default '{}',
      requests_per_minute integer check (requests_per_minute > 0),
      requests_per_day integer check (requests_per_day > 0),
      assertion_key text,
      created_by uuid,
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      revoked_at timestamptz,
      last_used_at timestamptz,
      primary key (tenant_id, id)
    )
    """,
    # Apart from the key, so that it can be rotated: for a while two secrets open it.
    """
    create table identity.api_key_secret (
      tenant_id uuid not null,
      id uuid not null,
      key_id uuid not null,
      lookup_id text not null,
      digest bytea not null check (octet_length(digest) = 32),
      created_at timestamptz not null default now(),
      expires_at timestamptz not null default 'infinity',
      primary key (tenant_id, id),
      foreign key (tenant_id, key_id) references identity.api_key (tenant_id, id) on delete cascade
    )
    """,
    "create index api_key_secret_digest on identity.api_key_secret (digest)",
    "create index api_key_secret_of_key on identity.api_key_secret (tenant_id, key_id)",
    # To the minute: a write for every request would make a busy key wait for itself.
    """
    create function identity.note_key_use() returns void
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      update identity.api_key set last_used_at = now()
      where tenant_id = (select tenancy.tenant_id()) and id = (select tenancy.principal_id())
        and (last_used_at is null or last_used_at < now() - interval '1 minute')
    $$
    """,
    # What was asked of the service in the running window of so many seconds, by anything that a limit is set for.
    """
    create table identity.request_count (
      tenant_id uuid not null,
      subject text not null check (length(subject) between 1 and 200),
      seconds integer not null check (seconds between 1 and 86400),
      started_at timestamptz not null,
      requests integer not null,
      primary key (tenant_id, subject, seconds)
    )
    """,
    # The only way to it: counts can be raised and not lowered. Windows start at multiples of their length, days in UTC.
    """
    create function identity.count_request(subject text, seconds integer)
    returns table (requests integer, retry_after integer)
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      insert into identity.request_count as known (tenant_id, subject, seconds, started_at, requests)
      values ((select tenancy.tenant_id()), $1, $2,
        to_timestamp(floor(extract(epoch from clock_timestamp()) / $2) * $2), 1)
      on conflict (tenant_id, subject, seconds) do update set started_at = excluded.started_at,
        requests = case when known.started_at = excluded.started_at then known.requests + 1 else 1 end
      returning requests, ceil(extract(epoch from started_at) + $2 - extract(epoch from clock_timestamp()))::integer
    $$
    """,
    # A sign-in that succeeds does not count. Only sign-ins are given back, so that nobody works off its own limit.
    """
    create function identity.forgive_sign_in(subjects text[]) returns void
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      update identity.request_count set requests = greatest(requests - 1, 0)
      where tenant_id = (select tenancy.tenant_id()) and subject = any ($1) and subject like 'sign\\_in:%'
    $$
    """,
    # Reading and writing a collection is granted to one principal (a user or a key) or to a role.
    """
    create table identity.collection_grant (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      principal_id uuid,
      role text check (role in ('admin', 'editor', 'approver', 'analyst', 'compliance', 'privacy', 'partner')),
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
    # A user as a caller. Functions that take a context bind their transaction to it, and to none other that it may have been
    # bound to: who is calling is asked at every request, and this asks it in one round trip.
    """
    create function identity.user_caller(context text, session uuid)
    returns table (tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
      principal_requests_per_minute integer, name text, live boolean, session_live boolean, roles text[], readable uuid[],
      writable uuid[])
    language sql volatile set plan_cache_mode = force_generic_plan
    begin atomic
      select set_config('app.context', $1, true) where $1 is not null;
      with held as (
        select r.role from identity.user_role r
        where r.tenant_id = (select tenancy.tenant_id()) and r.user_id = (select tenancy.principal_id())
      ), granted as (
        select distinct g.access, g.collection_id from identity.collection_grant g
        where g.tenant_id = (select tenancy.tenant_id())
          and (g.principal_id = (select tenancy.principal_id()) or g.role in (select h.role from held h))
      )
      select t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, u.username, u.status = 'active',
        s.revoked_at is null and s.expires_at > now(),
        array(select h.role from held h order by h.role),
        array(select g.collection_id from granted g where g.access = 'read'),
        array(select g.collection_id from granted g where g.access = 'write')
      from identity."user" u
      cross join tenancy.own_tenant() t
      join identity.session s on s.tenant_id = u.tenant_id and s.user_id = u.id and s.id = $2
      where u.tenant_id = (select tenancy.tenant_id()) and u.id = (select tenancy.principal_id());
    end
    """,
    # The key that a presented secret opens, as a caller: what its holder learns by using it. As the owner, since a secret is
    # looked up across tenants.
    """
    create function identity.presented_key(context text)
    returns table (tenant_id uuid, key_id uuid, tenant_slug text, tenant_status text, tenant_requests_per_minute integer,
      principal_requests_per_minute integer, name text, permissions text[], allowed_networks cidr[], requests_per_minute integer,
      requests_per_day integer, assertion_key text, live boolean, use_noted boolean, readable uuid[], writable uuid[])
    language sql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
    begin atomic
      select set_config('app.context', $1, true) where $1 is not null;
      select k.tenant_id, k.id, t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute, k.name, k.permissions,
        k.allowed_networks, k.requests_per_minute, k.requests_per_day, k.assertion_key,
        k.revoked_at is null and (k.expires_at is null or k.expires_at > now()),
        coalesce(k.last_used_at >= now() - interval '1 minute', false),
        array(select g.collection_id from identity.collection_grant g
          where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'read'),
        array(select g.collection_id from identity.collection_grant g
          where g.tenant_id = k.tenant_id and g.principal_id = k.id and g.access = 'write')
      from identity.api_key_secret s
      join identity.api_key k on k.tenant_id = s.tenant_id and k.id = s.key_id
      join tenancy.tenant t on t.id = k.tenant_id
      where s.digest = decode((select tenancy.presented('digest')), 'hex') and s.expires_at > now();
    end
    """,
    # A tenant with one collection. A function, so that the operator's role writes these rows only together, and reads none.
    """
    create function identity.create_tenant(
      tenant uuid, slug text, name text, collection uuid, collection_slug text, readers text[], writers text[])
    returns void
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      insert into tenancy.tenant (id, slug, name) values ($1, $2, $3);
      insert into documents.collection (tenant_id, id, slug, name) values ($1, $4, $5, initcap($5));
      insert into identity.collection_grant (tenant_id, id, collection_id, role, access)
        select $1, gen_random_uuid(), $4, unnest($6), 'read' union all select $1, gen_random_uuid(), $4, unnest($7), 'write'
    $$
    """,
    # The keys of the operator's own systems. They belong to no tenant.
    """
    create table identity.operator_key (
      id uuid primary key,
      name text not null unique check (length(name) between 1 and 100),
      digest bytea not null unique check (octet_length(digest) = 32),
      created_at timestamptz not null default now(),
      revoked_at timestamptz
    )
    """,
    # The OpenID provider that a tenant trusts, as one of its clients. The same client of a provider never serves two tenants:
    # a token for one would open the other. Only the operator adds rows, so only the operator learns of a clash.
    """
    create table identity.issuer (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      issuer text not null check (length(issuer) between 1 and 500),
      client_id text not null check (length(client_id) between 1 and 200),
      client_secret text,
      scopes text not null default 'openid profile email',
      groups_claim text not null default 'groups',
      role_of_group jsonb not null check (jsonb_typeof(role_of_group) = 'object'),
      creates_users boolean not null default false,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      constraint issuer_one_of_a_tenant unique (tenant_id),
      constraint issuer_of_one_tenant unique (issuer, client_id)
    )
    """,
    """
    create table identity.external_identity (
      tenant_id uuid not null,
      issuer_id uuid not null,
      subject text not null check (length(subject) between 1 and 255),
      user_id uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, issuer_id, subject),
      foreign key (tenant_id, issuer_id) references identity.issuer (tenant_id, id) on delete cascade,
      foreign key (tenant_id, user_id) references identity."user" (tenant_id, id) on delete cascade
    )
    """,
    """
    create function identity.presented_issuer()
    returns table (id uuid, issuer text, client_id text, client_secret text, scopes text, groups_claim text, role_of_group jsonb,
      creates_users boolean)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
      select i.id, i.issuer, i.client_id, i.client_secret, i.scopes, i.groups_claim, i.role_of_group, i.creates_users
      from identity.issuer i
      where i.tenant_id = (select tenancy.tenant_id()) and i.tenant_id::text = (select tenancy.presented('issuer_of'))
    $$
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
