-- Whose browser it is that presents a cookie.

-- Whoever presents a cookie learns whose session it opens, whichever tenant that belongs to: for 15 minutes after it was last
-- used, and 8 hours after it was opened. `fresh` says that the sign-in was at most 5 minutes ago. Noted to the minute.
create or replace function identity.presented_browser(context text)
returns table (tenant_id uuid, user_id uuid, session_id uuid, fresh boolean)
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  select set_config('app.context', $1, true) where $1 is not null;
  select tenancy.presented('browser');  -- refuses a forged context, also where no session is that a condition could be asked of
  update identity.browser_session b set seen_at = now()
  where b.digest = decode((select tenancy.presented('browser')), 'hex')
    and b.seen_at between now() - interval '15 minutes' and now() - interval '1 minute' and b.opened_at > now() - interval '8 hours'
    and tenancy.is_home(b.tenant_id);
  select b.tenant_id, s.user_id, b.session_id, b.opened_at > now() - interval '5 minutes'
  from identity.browser_session b join identity.session s on s.tenant_id = b.tenant_id and s.id = b.session_id
  where b.digest = decode((select tenancy.presented('browser')), 'hex')
    and b.seen_at > now() - interval '15 minutes' and b.opened_at > now() - interval '8 hours';
end;

grant execute on function identity.presented_browser(text) to affidavit_runtime;
-- Nothing here is granted to anyone else.
