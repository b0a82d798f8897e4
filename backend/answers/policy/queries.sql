-- name: policy
-- What the tenant chose; no row when it left all as the operator has it.
select models, support_levels, changed_by, changed_at from answers.policy where tenant_id = $1

-- name: set_policy
-- Replaces what the tenant chose.
insert into answers.policy (tenant_id, models, support_levels, changed_by) values ($1, $2, $3, $4)
on conflict (tenant_id) do update set models = excluded.models, support_levels = excluded.support_levels,
  changed_by = excluded.changed_by, changed_at = now()

-- name: policy_and_approval
-- What the tenant chose, and the run that was approved last; nulls where there is neither.
select p.models, p.support_levels, a.run, a.pins, a.refuses
from evaluation.approved() a left join answers.policy p on p.tenant_id = $1

-- name: shows_more
-- Whether levels of support are more than the tenant shows now; null stands for all.
select not $2::text[] <@ support_levels or $2::text[] is null from answers.policy where tenant_id = $1 and support_levels is not null

-- name: changes_wait
-- Whether a change waits for a run that another person approves.
select evaluation.changes_wait()

-- name: propose
-- Proposes to replace what the tenant chose.
insert into evaluation.change (tenant_id, id, models, support_levels, proposed_by) values ($1, $2, $3, $4, $5)
