-- Questions whose answers were reported as wrong.
alter table evaluation.candidate enable row level security, force row level security;

-- A caller with documents:review sees the candidates of its tenant, and who reported one sees it.
create policy visible on evaluation.candidate for select to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and ((select tenancy.has_permission('documents:review')) or reported_by = (select tenancy.principal_id())));
-- Whoever got an answer reports it, in its own name. The text is the one on record: otherwise the key of anybody's texts could be
-- named here, and given to who reviews documents.
create policy reported on evaluation.candidate for insert to affidavit_runtime
  with check (tenant_id = (select tenancy.tenant_id()) and reported_by = (select tenancy.principal_id())
    and exists (select from answers.turn t where t.tenant_id = candidate.tenant_id and t.id = candidate.turn
      and t.answer_event = candidate.answer_event)
    and exists (select from audit.payload p where p.tenant_id = candidate.tenant_id and p.event_id = candidate.answer_event
      and p.name = 'question' and p.key_id = candidate.key_id and p.ciphertext = candidate.ciphertext));
-- The owner's function gives the keys of these texts out.
create policy given_out on evaluation.candidate for select to affidavit_owner using (tenant_id = (select tenancy.tenant_id()));

grant select, insert (tenant_id, turn, answer_event, key_id, ciphertext, reported_by) on evaluation.candidate to affidavit_runtime;
-- Not granted: update, delete.
