-- How often something was asked, for limits.
alter table identity.request_count enable row level security, force row level security;

-- Counted as the owner, by identity.count_request(), in the tenant of the verified context.
create policy owner on identity.request_count to affidavit_owner using (true) with check (true);

grant execute on function identity.count_request(text, integer) to affidavit_runtime;
-- Not granted: anything on the table, so that nobody lowers a count.
