-- What becomes of programs that a tenant allows no more.

-- Ends the sessions of everybody's programs of a host, which the tenant has just stopped allowing.
create or replace function identity.end_client_sessions(host text) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  ended bigint;
begin
  if not tenancy.has_permission('keys:manage') or tenancy.context() ->> 'kind' is distinct from 'user' then
    raise exception 'nobody ends sessions here' using errcode = 'insufficient_privilege';
  end if;
  update identity.session s set revoked_at = now(), revoked_reason = 'program not allowed'
  where s.tenant_id = tenancy.tenant_id() and s.revoked_at is null and starts_with(s.client_id, 'https://' || host || '/');
  get diagnostics ended = row_count;
  return ended;
end
$$;

grant execute on function identity.end_client_sessions(text) to affidavit_runtime;
-- Nothing here is granted to anyone else.
