-- The right edge of each sealed log, from which it grows.
alter table audit.log enable row level security, force row level security;

-- Only the sealer grows logs.
create policy sealed on audit.log to affidavit_sealer using (true) with check (true);

grant select, insert, update (size, frontier) on audit.log to affidavit_sealer;
-- Not granted: delete; anything to the runtime role, which reads checkpoints instead.
