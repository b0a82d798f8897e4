-- Encrypted texts of events: questions, contexts, answers.
alter table audit.payload enable row level security, force row level security;

-- A caller writes the texts of an event with it. Nobody adds a text to an event of more than a minute and a half ago.
create policy own_tenant on audit.payload for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and event_id >= (select audit.earliest_id()));
-- A caller with audit:reveal reads the texts of its tenant.
create policy revealed on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));
-- A caller reads the texts of its own answers again: those of turns of its own conversations, under its own data key.
create policy own_turns on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and exists (select from answers.turn t where t.tenant_id = payload.tenant_id and t.answer_event = payload.event_id)
    and exists (select from audit.data_key k where k.tenant_id = payload.tenant_id and k.id = payload.key_id
      and k.subject_id = (select tenancy.subject_id())));
-- A caller with erasure:execute sees the encrypted texts of its tenant.
create policy erasable on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
-- A caller with erasure:execute deletes a text when the erasure of its data subject is approved, its retention is over and no hold
-- applies.
create policy erased on audit.payload for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and exists (select from audit.data_key k where k.tenant_id = payload.tenant_id and k.id = payload.key_id
      and audit.may_erase(k.tenant_id, k.subject_id))
    and audit.retained_until(tenant_id, event_id) <= now());
-- The owner's functions index the words.
create policy indexed on audit.payload for select to affidavit_owner
  using (exists (select from audit.unindexed u where u.tenant_id = payload.tenant_id and u.event_id = payload.event_id));
-- When a month leaves for an archive, its texts are deleted: their retention is over then.
create policy left_select on audit.payload for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.payload for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));
-- The owner hashes words anew when a search key takes another's place, at a connection of its own.
create policy rehashed_select on audit.payload for select to affidavit_owner using (session_user = 'affidavit_owner');
create policy rehashed on audit.payload for update to affidavit_owner using (session_user = 'affidavit_owner');

grant select, delete, insert (tenant_id, event_id, name, key_id, ciphertext, terms) on audit.payload to affidavit_runtime;
-- Not granted: update; the transaction, which is always the one that writes.
-- Not even the owner changes a text: words that are hashed anew change what it is found by.
revoke update, truncate, references, trigger on audit.payload from affidavit_owner;
grant update (terms) on audit.payload to affidavit_owner;
