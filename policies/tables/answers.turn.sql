-- Turns of conversations, by the events that hold what was said.
alter table answers.turn enable row level security, force row level security;

-- A turn is seen with its conversation, and added to one of the caller's own when its answer is recorded.
create policy own on answers.turn to affidavit_runtime
  using (tenant_id = (select tenancy.tenant_id())
    and exists (select from answers.conversation c where c.tenant_id = turn.tenant_id and c.id = turn.conversation_id))
  with check (tenant_id = (select tenancy.tenant_id()) and answer_event >= (select audit.earliest_id())
    and exists (select from answers.conversation c where c.tenant_id = turn.tenant_id and c.id = turn.conversation_id));

grant select, insert (tenant_id, id, conversation_id, answer_event, refused) on answers.turn to affidavit_runtime;
-- Not granted: update, delete.
