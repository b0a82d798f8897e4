-- What embedding models made of a few sentences of the service's own when they were first asked. It is no tenant's.
alter table retrieval.embedder enable row level security, force row level security;

-- Every process compares the model that answers with what is known of it.
create policy known on retrieval.embedder for select to affidavit_runtime using (true);
-- Whoever asks a model first keeps what it made.
create policy first on retrieval.embedder for insert to affidavit_runtime with check (true);
-- The operator embeds tenants' chunks anew.
create policy operator on retrieval.embedder to affidavit_owner using (true) with check (true);

grant select, insert (model, dimensions, vectors) on retrieval.embedder to affidavit_runtime;
-- Not granted: update, delete. What was kept first stays: another model needs another name.
