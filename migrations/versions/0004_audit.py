"""The append-only audit log: events by month, their encrypted payloads and the keys of those."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "create schema audit",
    # The only reading of an envelope's time; to_char-exact text ending in Z does not depend on the session's time zone.
    """
    create function audit.event_time(envelope jsonb) returns timestamptz
    language sql immutable strict set search_path = pg_catalog, pg_temp
    as $$ select (envelope ->> 'time')::timestamptz $$
    """,
    """
    create function audit.refuse_change() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege'; end $$
    """,
    # The smallest UUIDv7 of a moment (RFC 9562).
    """
    create function audit.first_id_at(moment timestamptz) returns uuid
    language sql stable strict set search_path = pg_catalog, pg_temp
    as $$ select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$
    """,
    # The earliest id that an event of this transaction can have. A service whose clock is a minute behind is refused all the
    # same, by the expiry of its contexts.
    """
    create function audit.earliest_id() returns uuid
    language sql stable
    return (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 90000), 12, '0') || repeat('0', 20))::uuid
    """,
    # UUIDv7 ids carry their time, so ranges of ids are ranges of months. The id cannot be generated (it is the partition
    # key), so a check ties it to the envelope; xid is the watermark by which the sealer finds committed events.
    # What events are counted by lies in the key's index, so that counting fetches none. Few events have the last four members,
    # and to find that the text lacks one costs a thirtieth of reading it as JSON. `json` reads it in two thirds of the time of
    # `jsonb`, and the same of it; that it is JSON of which jsonb can be made, the check sees to.
    """
    create table audit.event (
      id uuid not null,
      envelope text not null check (octet_length(envelope) <= 16384),
      xid xid8 not null default pg_current_xact_id(),
      tenant_id uuid not null generated always as ((envelope::json ->> 'tenant')::uuid) stored,
      occurred_at timestamptz not null generated always as (audit.event_time(envelope::jsonb)) stored,
      action text not null generated always as (envelope::json ->> 'action') stored,
      outcome text not null generated always as (envelope::json ->> 'outcome') stored,
      principal_id uuid generated always as ((envelope::json #>> '{principal,id}')::uuid) stored,
      request_id text not null generated always as (envelope::json ->> 'request_id') stored,
      turn uuid generated always as (case when position('"turn"' in envelope) > 0
        then (envelope::jsonb ->> 'turn')::uuid end) stored,
      model text generated always as (case when position('"model_served"' in envelope) > 0
        then envelope::jsonb #>> '{answer,model_served}' end) stored,
      end_user text generated always as (case when position('"on_behalf_of"' in envelope) > 0
        then envelope::jsonb #>> '{principal,on_behalf_of,subject}' end) stored,
      conversation uuid generated always as (case when position('"conversation"' in envelope) > 0
        then (envelope::jsonb ->> 'conversation')::uuid end) stored,
      primary key (tenant_id, id) include (action, outcome, principal_id, model),
      check ((envelope::jsonb ->> 'id')::uuid = id)
    ) partition by range (id)
    """,
    # Which documents an event is about, for "who was shown this document"; an index, not evidence: that is the envelope.
    # What events are filtered by is repeated and lies in the index, so that no event is fetched only to be passed over.
    """
    create table audit.event_document (
      tenant_id uuid not null,
      doc_id text not null,
      event_id uuid not null,
      action text not null,
      outcome text not null,
      principal_id uuid,
      primary key (tenant_id, doc_id, event_id) include (action, outcome, principal_id)
    )
    """,
    """
    create table audit.data_key (
      tenant_id uuid not null,
      id uuid not null,
      subject_id uuid not null,
      month date not null,
      wrapped bytea not null,
      created_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, subject_id, month)
    )
    """,
    """
    create table audit.payload (
      tenant_id uuid not null,
      event_id uuid not null,
      name text not null check (name ~ '^[a-z_]{1,40}$'),
      key_id uuid not null,
      ciphertext bytea not null,
      terms bigint[],
      xid xid8 not null default pg_current_xact_id(),
      primary key (tenant_id, event_id, name),
      foreign key (tenant_id, key_id) references audit.data_key (tenant_id, id)
    )
    """,
    # Keyed hashes of the words of payloads (`terms` above), by which they are searched; erased with their payload, by whatever
    # erases it.
    # What events are filtered by is repeated here as well.
    """
    create table audit.payload_term (
      tenant_id uuid not null,
      term bigint not null,
      event_id uuid not null,
      name text not null,
      action text not null,
      outcome text not null,
      principal_id uuid,
      primary key (tenant_id, term, event_id, name) include (action, outcome, principal_id),
      foreign key (tenant_id, event_id, name) references audit.payload (tenant_id, event_id, name) on delete cascade
    )
    """,
    "create index payload_term_by_payload on audit.payload_term (tenant_id, event_id, name)",
    # Events that the two tables above do not know yet: who asks a question need not wait until its words are indexed.
    """
    create table audit.unindexed (
      tenant_id uuid not null,
      event_id uuid not null,
      doc_ids text[] not null,
      action text not null,
      outcome text not null,
      principal_id uuid,
      xid xid8 not null default pg_current_xact_id(),
      primary key (tenant_id, event_id)
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    # Indexes events. What another transaction than the event's own said of it is dropped: injected SQL adds to no event.
    """
    create function audit.index_events(tenants uuid[], events uuid[]) returns bigint
    language sql security definer set search_path = pg_catalog, pg_temp
    as $$
      with taken as (
        delete from audit.unindexed u using unnest(tenants, events) as t (tenant_id, event_id)
        where u.tenant_id = t.tenant_id and u.event_id = t.event_id
        returning u.*
      ), genuine as (
        select taken.* from taken join audit.event e using (tenant_id, xid) where e.id = taken.event_id
      ), documents as (
        insert into audit.event_document (tenant_id, doc_id, event_id, action, outcome, principal_id)
        select tenant_id, doc_id, event_id, action, outcome, principal_id from genuine cross join unnest(doc_ids) as doc_id
        on conflict do nothing
      ), words as (
        insert into audit.payload_term (tenant_id, term, event_id, name, action, outcome, principal_id)
        select tenant_id, term, event_id, p.name, action, outcome, principal_id
        from genuine join audit.payload p using (tenant_id, event_id, xid) cross join unnest(p.terms) as term
        on conflict do nothing
      )
      select count(*) from taken
    $$
    """,
    # The oldest of all tenants, for whoever runs in the background, past those that somebody else indexes just now.
    """
    create function audit.index_oldest_events(most integer) returns bigint
    language sql security definer set search_path = pg_catalog, pg_temp
    as $$
      select audit.index_events(array_agg(tenant_id), array_agg(event_id))
      from (select tenant_id, event_id from audit.unindexed order by event_id limit most for update skip locked) as oldest
    $$
    """,
    # All of the caller's tenant, before it is searched; waits for those that somebody else indexes just now. For reviewers only,
    # whom anybody else could keep waiting.
    """
    create function audit.index_own_events() returns bigint
    language sql security definer set search_path = pg_catalog, pg_temp
    as $$
      select audit.index_events(array_agg(tenant_id), array_agg(event_id))
      from (select tenant_id, event_id from audit.unindexed where tenant_id = (select tenancy.tenant_id())
        and (select tenancy.has_permission('audit:read')) order by event_id for update) as own
    $$
    """,
    # A partition of its own for each month, walled like the parent. Triggers on TRUNCATE are not inherited.
    """
    create function audit.create_partition(month date) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$
    declare
      first date := date_trunc('month', month)::date;
      name text := 'event_' || to_char(first, 'YYYY_MM');
      low uuid := audit.first_id_at(first::timestamp at time zone 'UTC');
      high uuid := audit.first_id_at((first + interval '1 month') at time zone 'UTC');
    begin
      if to_regclass('audit.' || name) is not null then
        return;
      end if;
      execute format('create table audit.%I partition of audit.event for values from (%L) to (%L)', name, low, high);
      execute format('alter table audit.%I enable row level security, force row level security', name);
      execute format('create trigger no_truncate before truncate on audit.%I execute function audit.refuse_change()', name);
      execute format('alter table audit.%I enable always trigger no_truncate', name);
      execute format('alter table audit.%I enable always trigger no_change', name);
    end
    $$
    """,
    # For the sealer, which may not choose the months. Whoever writes meanwhile waits no longer than this lock is asked for.
    """
    create function audit.create_coming_partitions() returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s'
    as $$
    begin
      perform audit.create_partition((date_trunc('month', now()) + make_interval(months => n))::date)
      from generate_series(0, 3) as n;
    end
    $$
    """,
    """
    create trigger no_change before update or delete on audit.event
      for each row execute function audit.refuse_change()
    """,
    "create trigger no_truncate before truncate on audit.event execute function audit.refuse_change()",
    "alter table audit.event enable always trigger no_change",
    "alter table audit.event enable always trigger no_truncate",
    "create index event_by_transaction on audit.event (xid, id)",
    # What follows the id are the other filters, so that they are decided in the index.
    "create index event_by_actor on audit.event (tenant_id, principal_id, id, action, outcome)",
    "create index event_by_action on audit.event (tenant_id, action, id, principal_id, outcome)",
    # Small, since nearly all succeed; an index of those would find what the others find.
    "create index event_by_failure on audit.event (tenant_id, outcome, id, principal_id, action) where outcome <> 'succeeded'",
    "create index event_by_request on audit.event (tenant_id, request_id, id)",
    "create index event_by_turn on audit.event (tenant_id, turn, id) where turn is not null",
    "create index event_by_end_user on audit.event (tenant_id, end_user, id) where end_user is not null",
    "create index event_by_conversation on audit.event (tenant_id, conversation, id) where conversation is not null",
    # What reviewers name for searches they come back to.
    """
    create table audit.saved_search (
      tenant_id uuid not null,
      id uuid not null,
      name text not null check (length(name) between 1 and 100),
      filters jsonb not null,
      saved_by uuid not null,
      saved_at timestamptz not null default now(),
      primary key (tenant_id, id),
      unique (tenant_id, saved_by, name)
    )
    """,
    # How long texts are kept, by class of events (what stands before the colon of their action). Append-only: the longest
    # period counts, so it can be raised and never lowered.
    """
    create table audit.retention (
      tenant_id uuid not null,
      id uuid not null,
      event_class text not null check (event_class ~ '^[a-z]{1,20}$'),
      days integer not null check (days between 0 and 36500),
      set_by uuid not null,
      set_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )
    """,
    "create index retention_by_class on audit.retention (tenant_id, event_class, days)",
    """
    create table audit.hold (
      tenant_id uuid not null,
      id uuid not null,
      subject_id uuid,
      reason text not null check (length(reason) between 3 and 500),
      placed_by uuid not null,
      placed_at timestamptz not null default now(),
      released_by uuid,
      released_at timestamptz,
      primary key (tenant_id, id)
    )
    """,
    """
    create table audit.erasure (
      tenant_id uuid not null,
      id uuid not null,
      subject_id uuid not null,
      legal_basis text not null check (length(legal_basis) between 3 and 500),
      requested_by uuid not null,
      requested_at timestamptz not null default now(),
      approved_by uuid check (approved_by <> requested_by),
      executed_at timestamptz,
      primary key (tenant_id, id)
    )
    """,
    # What was asked to be exported, and the file that came of it.
    """
    create table audit.export (
      tenant_id uuid not null,
      id uuid not null,
      requested_by uuid not null,
      job_id uuid not null,
      parameters jsonb not null check (jsonb_typeof(parameters) = 'object'),
      created_at timestamptz not null default now(),
      events bigint,
      sha256 bytea,
      size bigint,
      parts jsonb check (jsonb_typeof(parts) = 'array'),
      primary key (tenant_id, id)
    )
    """,
    # Whether an erasure of this subject was approved by a second person, and no hold applies. Invoker's rights: the
    # policies of both tables decide what the caller sees of them.
    """
    create function audit.may_erase(tenant uuid, subject uuid) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select exists (select from audit.erasure e where e.tenant_id = tenant and e.subject_id = subject
          and e.approved_by is not null and e.executed_at is null)
        and not exists (select from audit.hold h where h.tenant_id = tenant and h.released_at is null
          and (h.subject_id is null or h.subject_id = subject))
    $$
    """,
    """
    create function audit.retained_until(tenant uuid, event uuid) returns timestamptz
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select e.occurred_at + make_interval(days => coalesce((select max(r.days) from audit.retention r
        where r.tenant_id = tenant and r.event_class = split_part(e.action, ':', 1)), 0))
      from audit.event e where e.tenant_id = tenant and e.id = event
    $$
    """,
    # Tenants whose deletion can no longer be taken back, and on which nobody placed a hold.
    """
    create function tenancy.purgeable_tenants() returns setof uuid
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select t.id from tenancy.tenant t
      where t.status = 'deleting' and t.delete_after <= now()
        and not exists (select from audit.hold h where h.tenant_id = t.id and h.released_at is null)
    $$
    """,
    # Sealed logs (RFC 6962): one for each tenant, and one over the checkpoints of all. The right edge of each tree.
    """
    create table audit.log (
      tenant_id uuid primary key,
      size bigint not null check (size >= 0),
      frontier bytea[] not null
    )
    """,
    """
    create table audit.leaf (
      tenant_id uuid not null,
      index bigint not null check (index >= 0),
      event_id uuid not null,
      hash bytea not null check (octet_length(hash) = 32),
      primary key (tenant_id, index),
      unique (tenant_id, event_id)
    )
    """,
    # Roots of perfect subtrees above the leaves; with them a proof reads O(log n) rows.
    """
    create table audit.node (
      tenant_id uuid not null,
      level smallint not null check (level > 0),
      position bigint not null,
      hash bytea not null check (octet_length(hash) = 32),
      primary key (tenant_id, level, position)
    )
    """,
    """
    create table audit.checkpoint (
      tenant_id uuid not null,
      id uuid not null,
      size bigint not null,
      note text not null,
      signed_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )
    """,
    "create index checkpoint_by_size on audit.checkpoint (tenant_id, size)",
    # Months that left the log for an archive, or are about to (`left_at` is null): which leaves of a tenant are in which file.
    # Ranges of one tenant adjoin; `events` are those of the month. Texts of the month are gone when `cleared_at` is set.
    """
    create table audit.archive (
      tenant_id uuid not null,
      month date not null check (extract(day from month) = 1),
      first_leaf bigint not null check (first_leaf >= 0),
      end_leaf bigint not null check (end_leaf >= first_leaf),
      events bigint not null check (events > 0),
      sha256 bytea not null check (octet_length(sha256) = 32),
      size bigint not null,
      written_at timestamptz not null default now(),
      left_at timestamptz,
      cleared_at timestamptz check (cleared_at is null or left_at is not null),
      primary key (tenant_id, month)
    )
    """,
    """
    create function audit.has_left(tenant uuid, event uuid) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp
    as $$
      select exists (select from audit.archive a where a.tenant_id = tenant and a.left_at is not null
        and event >= audit.first_id_at(a.month::timestamp at time zone 'UTC')
        and event < audit.first_id_at((a.month + interval '1 month') at time zone 'UTC'))
    $$
    """,
    # One row: who seals, and up to where. The epoch fences off a leader that was thought dead.
    """
    create table audit.sealer (
      singleton boolean primary key default true check (singleton),
      epoch bigint not null default 0,
      holder text,
      lease_until timestamptz not null default '-infinity',
      last_xid xid8 not null default '0',
      last_event uuid not null default '00000000-0000-0000-0000-000000000000',
      sealed_at timestamptz
    )
    """,
    "insert into audit.sealer default values",
    *(
        statement
        for table in ("leaf", "node", "checkpoint")
        for statement in (
            f"create trigger no_change before update or delete on audit.{table}"
            " for each row execute function audit.refuse_change()",
            f"create trigger no_truncate before truncate on audit.{table} execute function audit.refuse_change()",
            f"alter table audit.{table} enable always trigger no_change",
            f"alter table audit.{table} enable always trigger no_truncate",
        )
    ),
    """
    select audit.create_partition((date_trunc('month', now()) + make_interval(months => n))::date)
    from generate_series(-1, 24) as n
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
