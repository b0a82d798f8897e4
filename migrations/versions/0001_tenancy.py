"""Tenants and the signed context that every policy reads."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    "create schema tenancy",
    """
    create table tenancy.tenant (
      id uuid primary key,
      slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
      name text not null,
      status text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
      created_at timestamptz not null default now(),
      requests_per_minute integer check (requests_per_minute > 0),
      principal_requests_per_minute integer check (principal_requests_per_minute > 0),
      delete_after timestamptz,
      check ((status = 'deleting') = (delete_after is not null))
    )
    """,
    # The HMAC key as its padded blocks (RFC 2104), so that core sha256() is enough to verify with.
    """
    create table tenancy.context_key (
      id text primary key,
      inner_pad bytea not null check (octet_length(inner_pad) = 64),
      outer_pad bytea not null check (octet_length(outer_pad) = 64),
      created_at timestamptz not null default now(),
      retired_at timestamptz
    )
    """,
    # Absent or empty gives null, and null matches no row; anything else must be authentic and fresh.
    """
    create function tenancy.context() returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan -- the runtime role's own setting would plan the look-up of keys at every call
    as $$
    declare
      signed text := nullif(current_setting('app.context', true), '');
      octets bytea;
      code bytea;
      document bytea;
      claims jsonb;
      remaining numeric;
    begin
      if signed is null then
        return null;
      end if;
      octets := convert_to(signed, 'UTF8');
      code := substr(octets, 4, 64);
      document := substr(octets, 69);
      -- Both codes are hashed again, so that the time of the comparison says nothing about the expected one.
      perform from tenancy.context_key k
      where (k.retired_at is null or k.retired_at > now())
        and sha256(convert_to(encode(sha256(k.outer_pad || sha256(k.inner_pad || 'v1.'::bytea || document)), 'hex'), 'UTF8'))
          = sha256(code);
      if not found or substr(octets, 1, 3) <> 'v1.'::bytea or substr(octets, 68, 1) <> '.'::bytea then
        raise exception 'invalid context' using errcode = 'invalid_authorization_specification';
      end if;
      claims := convert_from(document, 'UTF8')::jsonb;
      remaining := (claims ->> 'expires')::numeric - extract(epoch from clock_timestamp());
      if remaining is null or remaining <= 0 or remaining > 65 then
        raise exception 'expired context' using errcode = 'invalid_authorization_specification';
      end if;
      -- A context that was captured works on the connection that it was made for and on no other.
      if (claims ->> 'backend')::int is distinct from pg_backend_pid() then
        raise exception 'context of another connection' using errcode = 'invalid_authorization_specification';
      end if;
      return claims;
    end
    $$
    """,
    # Of the SQL standard's form: bound to what they call when they are created, whatever the search path is later, and inlined.
    """
    create function tenancy.tenant_id() returns uuid
    language sql stable
    return (tenancy.context() ->> 'tenant')::uuid
    """,
    """
    create function tenancy.principal_id() returns uuid
    language sql stable
    return (tenancy.context() ->> 'principal')::uuid
    """,
    # Whose personal data is recorded: an end user of a partner, else the principal, else nobody's but the tenant's.
    """
    create function tenancy.subject_id() returns uuid
    language sql stable
    return coalesce(tenancy.context() ->> 'subject', tenancy.context() ->> 'principal', tenancy.context() ->> 'tenant')::uuid
    """,
    """
    create function tenancy.request_id() returns text
    language sql stable
    return tenancy.context() ->> 'request'
    """,
    """
    create function tenancy.has_permission(permission text) returns boolean
    language sql stable
    return coalesce(tenancy.context() -> 'permissions' ? permission, false)
    """,
    """
    create function tenancy.readable_collections() returns uuid[]
    language sql stable
    return array(select jsonb_array_elements_text(tenancy.context() -> 'readable')::uuid)
    """,
    """
    create function tenancy.writable_collections() returns uuid[]
    language sql stable
    return array(select jsonb_array_elements_text(tenancy.context() -> 'writable')::uuid)
    """,
    # The moment for which a caller asks what is in force; a caller who names none asks about now.
    """
    create function tenancy.moment() returns timestamptz
    language sql stable
    return coalesce((tenancy.context() ->> 'moment')::timestamptz, now())
    """,
    # The moment whose knowledge a caller asks for; null means all that is known now.
    """
    create function tenancy.known_at() returns timestamptz
    language sql stable
    return (tenancy.context() ->> 'known_at')::timestamptz
    """,
    # What somebody showed before it is known who they are: a tenant's slug, a user name, the digest of a secret.
    """
    create function tenancy.presented(credential text) returns text
    language sql stable
    return tenancy.context() -> 'presented' ->> credential
    """,
    """
    create function tenancy.permissions() returns text[]
    language sql stable
    return array(select jsonb_array_elements_text(tenancy.context() -> 'permissions'))
    """,
    # Through functions, since tenants share an index on their slugs: a role that may select the column could ask the index,
    # by EXPLAIN ANALYZE, which slugs exist.
    """
    create function tenancy.own_tenant()
    returns table (slug text, status text, requests_per_minute integer, principal_requests_per_minute integer)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
      select t.slug, t.status, t.requests_per_minute, t.principal_requests_per_minute
      from tenancy.tenant t where t.id = (select tenancy.tenant_id())
    $$
    """,
    """
    create function tenancy.presented_tenant() returns table (id uuid, status text)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select t.id, t.status from tenancy.tenant t where t.slug = (select tenancy.presented('tenant')) $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
