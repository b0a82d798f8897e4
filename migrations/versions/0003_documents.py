"""Documents, their versions and chunks."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    create table documents.document (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      doc_id text not null check (length(doc_id) between 1 and 256),
      source_type text not null,
      title text,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, collection_id, doc_id),
      unique (tenant_id, collection_id, id),
      foreign key (tenant_id, collection_id) references documents.collection (tenant_id, id)
    )
    """,
    # A version that is not approved has no validity: effective_from is infinity, so no moment lies within it.
    """
    create table documents.version (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      number integer not null check (number > 0),
      status text not null check (status in ('draft', 'in_review', 'approved', 'superseded', 'retired', 'rejected')),
      takes_chunks boolean not null default true,
      approvals_needed integer not null default 0 check (approvals_needed >= 0),
      planned_from timestamptz,
      planned_to timestamptz,
      effective_from timestamptz not null default 'infinity',
      effective_to timestamptz not null default 'infinity',
      content_sha256 bytea not null check (octet_length(content_sha256) = 32),
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      reason text,
      author_id uuid not null,
      created_by uuid not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, document_id, number),
      constraint version_author_and_content unique (tenant_id, id, author_id, content_sha256),
      -- With the collection, so that nobody versions (or finds out about) a document outside those that it may write.
      foreign key (tenant_id, collection_id, document_id) references documents.document (tenant_id, collection_id, id),
      check (status not in ('draft', 'in_review', 'rejected') or effective_from = 'infinity'),
      constraint version_ends_after_it_begins check (effective_to >= effective_from),
      constraint version_plan_ends_after_it_begins check (planned_to >= planned_from)
    )
    """,
    # However it comes about, a document never has two versions in force without an end.
    """
    create unique index version_in_force_once on documents.version (tenant_id, document_id)
      where effective_to = 'infinity' and effective_from < 'infinity'
    """,
    # One decision of one person on one version. The foreign key ties it to the author and to the exact content: the
    # author cannot approve, and what was decided on cannot change afterwards.
    """
    create table documents.approval (
      tenant_id uuid not null,
      version_id uuid not null,
      approver_id uuid not null,
      collection_id uuid not null,
      author_id uuid not null,
      content_sha256 bytea not null,
      decision text not null check (decision in ('approved', 'rejected')),
      comment text,
      decided_at timestamptz not null default now(),
      primary key (tenant_id, version_id, approver_id),
      foreign key (tenant_id, version_id, author_id, content_sha256)
        references documents.version (tenant_id, id, author_id, content_sha256),
      foreign key (tenant_id, approver_id) references identity."user" (tenant_id, id),
      constraint approver_is_not_the_author check (approver_id <> author_id)
    )
    """,
    # What was known about a version's validity, and since when: append-only, for questions about a past moment's knowledge.
    """
    create table documents.version_history (
      tenant_id uuid not null,
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      version_id uuid not null,
      status text not null,
      effective_from timestamptz not null,
      effective_to timestamptz not null,
      recorded_at timestamptz not null default now(),
      primary key (tenant_id, id),
      foreign key (tenant_id, version_id) references documents.version (tenant_id, id)
    )
    """,
    "create index version_history_by_version on documents.version_history (tenant_id, version_id, recorded_at)",
    # The versions that were in force at the moment asked about, as far as was known at the moment whose knowledge is asked for.
    """
    create function documents.versions_known_in_force() returns uuid[]
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select array(
        select version_id from (
          select distinct on (version_id) version_id, effective_from, effective_to
          from documents.version_history
          where tenant_id = (select tenancy.tenant_id()) and recorded_at <= (select tenancy.known_at())
          order by version_id, recorded_at desc, id desc
        ) known
        where effective_from <= (select tenancy.moment()) and effective_to > (select tenancy.moment()))
    $$
    """,
    # What a transaction sees of documents is a box: of these collections, what begins no later than one moment and ends after
    # another. As conditions that all must hold, and with bounds that are computed once, they cost an index scan nothing.
    """
    create function documents.sees_every_state(claims jsonb) returns boolean
    language sql immutable
    return claims -> 'permissions' ? 'documents:review'
      or claims -> 'permissions' ? 'documents:write' and claims -> 'presented' ->> 'writing' = 'chunks'
      or claims -> 'permissions' ? 'erasure:execute' and claims -> 'presented' ->> 'erasing' = 'documents'
    """,
    # All collections of its tenant, for who erases.
    """
    create function documents.erasable_collections() returns uuid[]
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$
      select array(select id from documents.collection where tenant_id = (select tenancy.tenant_id())
        and (select tenancy.has_permission('erasure:execute')) and (select tenancy.presented('erasing')) = 'documents')
    $$
    """,
    # Who writes sees what is not yet in force, where it writes and nowhere else.
    """
    create function documents.visible_collections() returns uuid[]
    language sql stable
    return (
      select case when claims -> 'presented' ->> 'erasing' = 'documents' then documents.erasable_collections()
        when claims -> 'presented' ->> 'writing' = 'chunks' and claims -> 'permissions' ? 'documents:write'
          then tenancy.writable_collections()
        else array(select jsonb_array_elements_text(claims -> 'readable')::uuid) end
      from (select tenancy.context() as claims offset 0) bound)
    """,
    # The bounds of the box. Who asks for a past moment's knowledge is told by the history what was in force then, and who
    # looks for what used to apply sees what ended before the moment asked about, as it would by naming that time.
    """
    create function documents.latest_start() returns timestamptz
    language sql stable
    return (
      select case when documents.sees_every_state(claims) or claims ? 'known_at' then 'infinity'::timestamptz
        else coalesce((claims ->> 'moment')::timestamptz, now()) end
      from (select tenancy.context() as claims offset 0) bound)
    """,
    """
    create function documents.earliest_end() returns timestamptz
    language sql stable
    return (
      select case when documents.sees_every_state(claims) or claims ? 'known_at' or claims -> 'presented' ->> 'reading' = 'lapsed'
        then '-infinity'::timestamptz else coalesce((claims ->> 'moment')::timestamptz, now()) end
      from (select tenancy.context() as claims offset 0) bound)
    """,
    # Whether what was never in force is seen as well: by who has to do with it.
    """
    create function documents.sees_unapproved() returns boolean
    language sql stable
    return coalesce(documents.sees_every_state(tenancy.context()), false)
    """,
    """
    create function documents.sees_drafts() returns boolean
    language sql stable
    return (
      select coalesce(claims -> 'permissions' ? 'documents:write' or documents.sees_every_state(claims), false)
      from (select tenancy.context() as claims offset 0) bound)
    """,
    # The validity of its version stands again on each chunk, so that one scan of one table decides what is a candidate.
    # Partitioned by placement and not by tenant: a default partition would have to be locked and scanned whenever a tenant
    # gets one of its own, and could not hold half of a tenant while the other half has moved.
    """
    create table documents.chunk (
      tenant_id uuid not null,
      placement uuid not null default '00000000-0000-0000-0000-000000000000',
      id uuid not null,
      collection_id uuid not null,
      document_id uuid not null,
      version_id uuid not null,
      effective_from timestamptz not null default 'infinity',
      effective_to timestamptz not null default 'infinity',
      created_at timestamptz not null default now(),
      ordinal integer not null,
      embedding_model text not null,
      dense halfvec not null,
      sparse sparsevec(1000000000) not null,
      source_type text not null,
      metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
      page_start integer,
      page_end integer,
      sheet text,
      char_start integer,
      char_end integer,
      heading_path text[],
      sha256 bytea not null check (octet_length(sha256) = 32),
      text text not null,
      foreign key (tenant_id, version_id) references documents.version (tenant_id, id),
      constraint placement_shared_or_own check (placement = tenant_id or placement = '00000000-0000-0000-0000-000000000000')
    ) partition by list (placement)
    """,
    # A scan of a tenant reads all its rows: what scans compare stays in the row, and a text that would make it long goes out.
    "alter table documents.chunk alter column dense set storage plain",
    "alter table documents.chunk alter column sparse set storage main",
    "alter table documents.chunk alter column metadata set storage main",
    "alter table documents.chunk alter column sha256 set storage plain",
    "alter table documents.chunk alter column text set storage external",
    # All that decides whether a chunk is a candidate is leakproof and in the index, so that no row is read in vain.
    "create index chunk_in_force on documents.chunk (tenant_id, collection_id, effective_from, effective_to)",
    """
    create table documents.chunk_shared partition of documents.chunk for values in ('00000000-0000-0000-0000-000000000000')
      with (toast_tuple_target = 2040)
    """,
    # The keys are the partitions' own: with the placement in them, which keys of the whole table need, the planner, who knows
    # no statistics of tenants, would take one of them for searches instead of chunk_in_force.
    "alter table documents.chunk_shared add primary key (tenant_id, id), add unique (tenant_id, version_id, ordinal)",
    # Nobody is granted a partition; should anybody ever be, it is walled without a policy, and so closed.
    "alter table documents.chunk_shared enable row level security, force row level security",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
