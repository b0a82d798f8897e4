-- What keys are about to ask of models, until it is known what was used.
alter table identity.usage_reservation enable row level security, force row level security;

-- Made and settled as the owner, by identity.reserve_usage() and identity.settle_usage(), for the calling key alone.
create policy operator on identity.usage_reservation to affidavit_owner using (true) with check (true);

-- Not granted: anything on the table, so that nobody makes room in a budget.
