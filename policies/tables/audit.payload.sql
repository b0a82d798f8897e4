-- Encrypted texts of events: questions, contexts, answers.
alter table audit.payload enable row level security, force row level security;

-- Written with the event, and never added to one of more than a minute and a half ago.
create policy own_tenant on audit.payload for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and event_id >= (select audit.earliest_id()));
-- Read by who may reveal.
create policy revealed on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('audit:reveal')));
-- Who asked reads the texts of its own answers again: those of turns in conversations of its own, under its own key.
create policy own_turns on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and exists (select from answers.turn t where t.tenant_id = payload.tenant_id and t.answer_event = payload.event_id)
    and exists (select from audit.data_key k where k.tenant_id = payload.tenant_id and k.id = payload.key_id
      and k.subject_id = (select tenancy.subject_id())));
-- Who may erase sees what there is to erase, encrypted.
create policy erasable on audit.payload for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute')));
-- A payload is destroyed by an approved erasure of its subject, after its retention and while no hold applies.
create policy erased on audit.payload for delete to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.has_permission('erasure:execute'))
    and exists (select from audit.data_key k where k.tenant_id = payload.tenant_id and k.id = payload.key_id
      and audit.may_erase(k.tenant_id, k.subject_id))
    and audit.retained_until(tenant_id, event_id) <= now());
-- The owner's functions index the words.
create policy indexed on audit.payload for select to affidavit_owner
  using (exists (select from audit.unindexed u where u.tenant_id = payload.tenant_id and u.event_id = payload.event_id));
-- Texts of a month that left for an archive go with it: all their retention was over.
create policy left_select on audit.payload for select to affidavit_owner using (audit.has_left(tenant_id, event_id));
create policy left_delete on audit.payload for delete to affidavit_owner using (audit.has_left(tenant_id, event_id));

grant select, delete, insert (tenant_id, event_id, name, key_id, ciphertext, terms) on audit.payload to affidavit_runtime;
-- Not granted: update; the transaction, which is always the one that writes.
