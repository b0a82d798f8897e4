-- The signed context: who is calling, as the database itself verified it. Every policy reads the caller through these.

-- Absent or empty gives null, and null matches no row; anything else must be authentic and fresh.
create or replace function tenancy.context() returns jsonb
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
  since bigint; -- the epoch that the process believes in
  at_home boolean;
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
  if remaining is null or remaining <= 0 or remaining > 95 then -- 60 seconds, and a clock that is 30 seconds ahead
    raise exception 'expired context' using errcode = 'invalid_authorization_specification';
  end if;
  -- A context that was captured works on the connection that it was made for and on no other.
  if (claims ->> 'backend')::int is distinct from pg_backend_pid() then
    raise exception 'context of another connection' using errcode = 'invalid_authorization_specification';
  end if;
  -- A process that belongs to a cell works in the database of that name only.
  if claims ? 'cell' then -- asked first by itself: an expression with a query in it is run as one, whatever its first half says
    if claims ->> 'cell' is distinct from (select c.name from tenancy.cell c) then
      raise exception 'context of another cell' using errcode = 'invalid_authorization_specification';
    end if;
  end if;
  -- A tenant that has moved is refused by the cell that it left, whatever a process still believes. One that never moved has no row.
  since := (claims ->> 'epoch')::bigint;
  select r.state = 'home' and r.epoch = coalesce(since, r.epoch) into at_home
  from tenancy.residence r where r.tenant_id = (claims ->> 'tenant')::uuid;
  if not coalesce(at_home, coalesce(since, 1) = 1) then
    raise exception 'the tenant is not at home in this cell' using errcode = 'AF421';
  end if;
  return claims;
end
$$;

-- Of the SQL standard's form: bound to what they call when they are created, whatever the search path is later, and inlined.
create or replace function tenancy.tenant_id() returns uuid
language sql stable
return (tenancy.context() ->> 'tenant')::uuid;

create or replace function tenancy.principal_id() returns uuid
language sql stable
return (tenancy.context() ->> 'principal')::uuid;

-- Whose personal data is recorded: an end user of a partner, else the principal, else nobody's but the tenant's.
create or replace function tenancy.subject_id() returns uuid
language sql stable
return coalesce(tenancy.context() ->> 'subject', tenancy.context() ->> 'principal', tenancy.context() ->> 'tenant')::uuid;

create or replace function tenancy.request_id() returns text
language sql stable
return tenancy.context() ->> 'request';

create or replace function tenancy.has_permission(permission text) returns boolean
language sql stable
return coalesce(tenancy.context() -> 'permissions' ? permission, false);

create or replace function tenancy.permissions() returns text[]
language sql stable
return array(select jsonb_array_elements_text(tenancy.context() -> 'permissions'));

create or replace function tenancy.readable_collections() returns uuid[]
language sql stable
return array(select jsonb_array_elements_text(tenancy.context() -> 'readable')::uuid);

create or replace function tenancy.writable_collections() returns uuid[]
language sql stable
return array(select jsonb_array_elements_text(tenancy.context() -> 'writable')::uuid);

-- The moment for which a caller asks what is in force; a caller who names none asks about now.
create or replace function tenancy.moment() returns timestamptz
language sql stable
return coalesce((tenancy.context() ->> 'moment')::timestamptz, now());

-- The moment whose knowledge a caller asks for; null means all that is known now.
create or replace function tenancy.known_at() returns timestamptz
language sql stable
return (tenancy.context() ->> 'known_at')::timestamptz;

-- For what a transaction may present something: the purposes of backend/tenancy.py, in its order.
create or replace function tenancy.purposes() returns text[]
language sql immutable
return array['tenant', 'username', 'digest', 'browser', 'issuer_of', 'password_of', 'second_factor_of', 'proved_session',
  'setting_password_of', 'reading', 'writing', 'erasing', 'withdrawing', 'retrying', 'lease', 'worker', 'delivering'];

create or replace function tenancy.refuse_purpose(purpose text) returns text
language plpgsql immutable
as $$
begin
  raise invalid_parameter_value using message = format('nothing is presented for %s', purpose);
end
$$;

-- What a transaction presents for a purpose: before it is known who somebody is, a tenant's slug, a user name, the digest of a
-- secret. A misspelt purpose is refused when a policy that names it is planned.
create or replace function tenancy.presented(credential text) returns text
language sql stable
return case when credential = any (tenancy.purposes()) then tenancy.context() -> 'presented' ->> credential
  else tenancy.refuse_purpose(credential) end;

grant execute on function tenancy.context(), tenancy.tenant_id(), tenancy.principal_id(), tenancy.subject_id(),
  tenancy.request_id(), tenancy.has_permission(text), tenancy.permissions(), tenancy.readable_collections(),
  tenancy.writable_collections(), tenancy.moment(), tenancy.known_at(), tenancy.presented(text), tenancy.purposes(),
  tenancy.refuse_purpose(text) to affidavit_runtime;
-- Nothing here is granted to anyone else.
