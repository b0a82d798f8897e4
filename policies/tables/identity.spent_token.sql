-- What works once and was used.
alter table identity.spent_token enable row level security, force row level security;

-- Written as the owner, in the tenant of the verified context.
create policy operator on identity.spent_token to affidavit_owner using (true) with check (true);

-- Not granted: anything on the table.
