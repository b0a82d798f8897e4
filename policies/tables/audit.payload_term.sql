-- Keyed hashes of the words of encrypted texts: an index, not evidence.
alter table audit.payload_term enable row level security, force row level security;

-- A caller with audit:reveal searches them, since a hit says what a text holds.
create policy searched on audit.payload_term for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));
-- The owner's function adds the words that the event's own transaction named.
create policy indexed on audit.payload_term for insert to affidavit_owner with check (true);
-- The owner hashes words anew when a search key takes another's place, at a connection of its own.
create policy rehashed_select on audit.payload_term for select to affidavit_owner using (session_user = 'affidavit_owner');
create policy rehashed on audit.payload_term for delete to affidavit_owner using (session_user = 'affidavit_owner');

grant select on audit.payload_term to affidavit_runtime;
-- Not granted: insert, update, delete. A payload takes its words with it, through the foreign key.
