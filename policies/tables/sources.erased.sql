-- The names of documents that were erased and that no source brings back.
alter table sources.erased enable row level security, force row level security;

-- The owner's functions note them, and tell a run which of its files were erased.
create policy kept on sources.erased to affidavit_owner using (true) with check (true);
-- Not granted: anything, to anyone.
