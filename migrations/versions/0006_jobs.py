"""Uploaded files, the keys that encrypt them, and the queue of work that takes longer than a request."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    "create schema storage",
    # One key per tenant, wrapped by a key that the database never sees: without it the tenant's files are noise.
    """
    create table storage.data_key (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      wrapped bytea not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id)
    )
    """,
    # The content is in the object store under `<tenant>/<id>`. A file that became no version keeps version_id null.
    """
    create table documents.file (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      version_id uuid,
      job_id uuid not null,
      filename text not null check (length(filename) between 1 and 255),
      media_type text not null,
      size bigint not null check (size > 0),
      sha256 bytea not null check (octet_length(sha256) = 32),
      submitted jsonb not null check (jsonb_typeof(submitted) = 'object'),
      page_count integer,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, document_id) references documents.document (tenant_id, id),
      foreign key (tenant_id, version_id) references documents.version (tenant_id, id)
    )
    """,
    "create index file_by_document on documents.file (tenant_id, document_id, id)",
    "create index file_by_job on documents.file (tenant_id, job_id) where version_id is null",
    "create schema jobs",
    # `lease_id` is known only to the worker that has the job: whoever changes the job's state must show it.
    """
    create table jobs.job (
      tenant_id uuid not null references tenancy.tenant (id),
      id uuid not null,
      kind text not null check (kind ~ '^[a-z_]+:[a-z_]+$'),
      requested_by uuid not null,
      request_id text not null,
      on_behalf_of jsonb,
      parameters jsonb not null check (jsonb_typeof(parameters) = 'object'),
      status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
      attempts integer not null default 0,
      run_after timestamptz not null default now(),
      lease_id uuid,
      leased_at timestamptz,
      leased_until timestamptz,
      done bigint,
      total bigint,
      result jsonb,
      error_code text,
      error_detail text,
      retryable boolean not null default false check (not retryable or status = 'failed'),
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      ended_at timestamptz generated always as (finished_at) stored,
      primary key (tenant_id, id),
      check ((status = 'running') <= (lease_id is not null and leased_until is not null))
    )
    """,
    "create index job_unfinished on jobs.job (tenant_id, id) where status in ('queued', 'running')",
    # Across tenants, for the queue. On a column that the runtime role may not select: of one that it may, EXPLAIN ANALYZE would
    # tell how many jobs of others ended when.
    "create index job_ended on jobs.job (ended_at) where ended_at is not null",
    "create index job_turns on jobs.job (tenant_id, leased_at)",
    # The only way across tenants, and open only to who can sign a worker's context; it tells ids and no content.
    # Fair: a tenant's n-th waiting job comes after every tenant's (n-1)-th, counting those that run, and among equals the
    # tenant is next that was served least recently. A job whose lease has run out waits again.
    """
    create function jobs.lease(lease uuid, seconds double precision)
    returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer)
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      with waiting as (
        select t.tenant_id, f.id, f.place + t.running as place, t.served_at
        from (
          select j.tenant_id, count(*) filter (where j.status = 'running' and j.leased_until >= now()) as running,
            (select max(s.leased_at) from jobs.job s where s.tenant_id = j.tenant_id) as served_at
          from jobs.job j where j.status in ('queued', 'running') group by j.tenant_id
        ) t
        cross join lateral (
          select j.id, row_number() over (order by j.id) as place from jobs.job j
          where j.tenant_id = t.tenant_id and j.status in ('queued', 'running')
            and case j.status when 'queued' then j.run_after <= now() else j.leased_until < now() end
          order by j.id limit 32
        ) f
      ), chosen as (
        select j.tenant_id, j.id
        from waiting w join jobs.job j on j.tenant_id = w.tenant_id and j.id = w.id
        where (select tenancy.presented('worker')) is not null
          and case j.status when 'queued' then j.run_after <= now() when 'running' then j.leased_until < now() end
        order by w.place, w.served_at nulls first, j.id
        limit 1
        for update of j skip locked
      )
      update jobs.job j
      set status = 'running', attempts = j.attempts + 1, lease_id = $1, leased_at = clock_timestamp(),
        leased_until = clock_timestamp() + make_interval(secs => $2)
      from chosen c
      where j.tenant_id = c.tenant_id and j.id = c.id
      returning j.tenant_id, j.id, j.kind, j.requested_by, j.request_id, j.on_behalf_of, j.attempts
    $$
    """,
    # A failed job that nobody tried again in time is handed out once more, to be ended for good.
    """
    create function jobs.lease_expired(lease uuid, seconds double precision, retention interval)
    returns table (tenant_id uuid, id uuid, kind text, requested_by uuid, request_id text, on_behalf_of jsonb, attempts integer,
      error_code text, error_detail text)
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      with chosen as (
        select j.tenant_id, j.id from jobs.job j
        where (select tenancy.presented('worker')) is not null and j.retryable and j.ended_at < now() - retention
        order by j.ended_at limit 1
        for update of j skip locked
      )
      update jobs.job j
      set status = 'running', retryable = false, finished_at = null, attempts = j.attempts + 1, lease_id = $1,
        leased_at = clock_timestamp(), leased_until = clock_timestamp() + make_interval(secs => $2)
      from chosen c
      where j.tenant_id = c.tenant_id and j.id = c.id
      returning j.tenant_id, j.id, j.kind, j.requested_by, j.request_id, j.on_behalf_of, j.attempts, j.error_code, j.error_detail
    $$
    """,
    # Forgets jobs that ended long ago, a thousand at a time; says how many those were.
    """
    create function jobs.forget(retention interval) returns bigint
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as $$
      with ended as (
        select j.tenant_id, j.id from jobs.job j
        where (select tenancy.presented('worker')) is not null and j.ended_at < now() - retention and not j.retryable
        order by j.ended_at limit 1000
        for update of j skip locked
      ), forgotten as (
        delete from jobs.job j using ended e where j.tenant_id = e.tenant_id and j.id = e.id returning j.id
      )
      select count(*) from forgotten
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
