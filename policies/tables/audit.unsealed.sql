-- Events that no log holds yet.
alter table audit.unsealed enable row level security, force row level security;

-- A trigger of the owner's enters every event that is written; its function says how many wait, and for how long.
create policy entered on audit.unsealed for insert to affidavit_owner with check (true);
create policy counted on audit.unsealed for select to affidavit_owner using (true);
-- The sealer takes them out when it appends their leaves, and enters those that came without being entered.
create policy sealed on audit.unsealed to affidavit_sealer using (true) with check (true);
-- The operator sees how many wait and since when, and not whose they are.
create policy operated on audit.unsealed for select to affidavit_operator using (true);

grant select (event_id) on audit.unsealed to affidavit_operator;
grant select, delete, insert (tenant_id, event_id, received) on audit.unsealed to affidavit_sealer;
revoke update, delete, truncate, references, trigger on audit.unsealed from affidavit_owner;
-- Not granted: anything to the role that serves tenants, which could keep an event from being sealed.
