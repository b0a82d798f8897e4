-- When texts of the log may be erased, and which months have left it.

-- Whether an erasure of this subject was approved by a second person, and no hold applies. Invoker's rights: the
-- policies of both tables decide what the caller sees of them.
create or replace function audit.may_erase(tenant uuid, subject uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select exists (select from audit.erasure e where e.tenant_id = tenant and e.subject_id = subject
      and e.approved_by is not null and e.executed_at is null)
    and not exists (select from audit.hold h where h.tenant_id = tenant and h.released_at is null
      and (h.subject_id is null or h.subject_id = subject))
$$;

create or replace function audit.retained_until(tenant uuid, event uuid) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select e.occurred_at + make_interval(days => coalesce((select max(r.days) from audit.retention r
    where r.tenant_id = tenant and r.event_class = split_part(e.action, ':', 1)), 0))
  from audit.event e where e.tenant_id = tenant and e.id = event
$$;

create or replace function audit.has_left(tenant uuid, event uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select exists (select from audit.archive a where a.tenant_id = tenant and a.left_at is not null
    and event >= audit.first_id_at(a.month::timestamp at time zone 'UTC')
    and event < audit.first_id_at((a.month + interval '1 month') at time zone 'UTC'))
$$;

-- Whether the log itself says, in an event of a year later at least, that these leaves left for this archive: a row of
-- audit.archive alone proves nothing. Invoker's rights.
create or replace function audit.is_accounted_for(archive audit.archive) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select exists (select from audit.event e where e.tenant_id = archive.tenant_id and e.action = 'audit:archived'
    and e.occurred_at >= (archive.month + interval '1 month' + interval '365 days') at time zone 'UTC'
    and e.envelope::jsonb -> 'archive' @> jsonb_build_object('first_leaf', archive.first_leaf, 'end_leaf', archive.end_leaf,
      'sha256', encode(archive.sha256, 'hex')))
$$;

-- Whether there is an archive for which its tenant's log does not account. The service asks for all tenants at once, and learns neither
-- whose it is nor how many there are: SQL that somebody injects may ask as well.
create or replace function audit.has_forged_archive() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select exists (select from audit.archive a where a.left_at is not null and not audit.is_accounted_for(a)) $$;

revoke all on function audit.is_accounted_for(audit.archive), audit.has_forged_archive() from public;
grant execute on function audit.is_accounted_for(audit.archive), audit.has_forged_archive() to affidavit_runtime;
grant execute on function audit.may_erase(uuid, uuid), audit.retained_until(uuid, uuid) to affidavit_runtime;
-- Not granted to anyone: audit.has_left.
