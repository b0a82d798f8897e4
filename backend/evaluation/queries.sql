-- name: list_sets
-- The newest version of each set, the newest that was approved, and how many questions it has.
select s.slug as name, s.version as newest_version, jsonb_array_length(s.questions) as questions,
  (select max(a.version) from evaluation.set_approval a where a.tenant_id = s.tenant_id and a.slug = s.slug) as approved_version
from evaluation.question_set s
where s.tenant_id = $1 and s.version = (
  select max(n.version) from evaluation.question_set n where n.tenant_id = s.tenant_id and n.slug = s.slug)
order by s.slug

-- name: set_version
-- A version of a set; without a number, the newest that was approved, and where none was, the newest.
select s.slug as name, s.version, s.questions, s.created_by, s.created_at, a.approved_by, a.approved_at
from evaluation.question_set s
left join evaluation.set_approval a on a.tenant_id = s.tenant_id and a.slug = s.slug and a.version = s.version
where s.tenant_id = $1 and s.slug = $2 and ($3::int is null or s.version = $3)
order by (a.version is not null) desc, s.version desc limit 1

-- name: newest_version
-- The number of the version that was written last.
select max(version) from evaluation.question_set where tenant_id = $1 and slug = $2

-- name: add_version
-- Writes a version of a set.
insert into evaluation.question_set (tenant_id, slug, version, questions, created_by) values ($1, $2, $3, $4, $5)

-- name: approve_version
-- Approves a version of a set.
insert into evaluation.set_approval (tenant_id, slug, version, approved_by) values ($1, $2, $3, $4)

-- name: candidates
-- Questions that were reported and that the newest version of no set has taken.
select c.turn, c.answer_event, c.key_id, c.ciphertext, c.reported_at, k.wrapped
from evaluation.candidate c left join evaluation.candidate_keys() k on k.id = c.key_id
where c.tenant_id = $1 and not exists (
  select from evaluation.question_set s where s.tenant_id = c.tenant_id
    and s.questions @> jsonb_build_array(jsonb_build_object('reported_turn', c.turn::text))
    and s.version = (select max(n.version) from evaluation.question_set n where n.tenant_id = s.tenant_id and n.slug = s.slug))
order by c.reported_at desc limit $2

-- name: add_run
-- A run that its job will make.
insert into evaluation.run (tenant_id, id, set_slug, set_version, change_id, started_by) values ($1, $2, $3, $4, $5, $6)

-- name: runs
-- A page of runs, newest first, or one of them, with what came of it and with the run that was approved last before it.
select r.id, r.set_slug as name, r.set_version as version, r.change_id as change, r.started_by, r.started_at,
  x.failure, x.finished_at, x.pins, x.results, a.approved_by, a.approved_at, s.questions, j.done, j.total,
  b.run_id as base, b.pins as base_pins, b.results as base_results, b.questions as base_questions
from evaluation.run r
join evaluation.question_set s on s.tenant_id = r.tenant_id and s.slug = r.set_slug and s.version = r.set_version
left join evaluation.result x on x.tenant_id = r.tenant_id and x.run_id = r.id
left join evaluation.run_approval a on a.tenant_id = r.tenant_id and a.run_id = r.id
left join jobs.job j on j.tenant_id = r.tenant_id and j.id = r.id
left join lateral (
  select p.run_id, y.pins, y.results, t.questions
  from evaluation.run_approval p
  join evaluation.run q on q.tenant_id = p.tenant_id and q.id = p.run_id and q.set_slug = r.set_slug
  join evaluation.result y on y.tenant_id = q.tenant_id and y.run_id = q.id
  join evaluation.question_set t on t.tenant_id = q.tenant_id and t.slug = q.set_slug and t.version = q.set_version
  where p.tenant_id = r.tenant_id and p.run_id <> r.id and (a.approved_at is null or p.approved_at < a.approved_at)
  order by p.approved_at desc, p.run_id desc limit 1
) b on true
where r.tenant_id = $1 and ($2::uuid is null or r.id = $2) and r.id < $3 and ($4::text is null or r.set_slug = $4)
order by r.id desc limit $5

-- name: run_to_make
-- What a run asks, and under which change.
select r.set_slug as name, r.set_version as version, r.change_id as change, s.questions, c.models, c.support_levels
from evaluation.run r
join evaluation.question_set s on s.tenant_id = r.tenant_id and s.slug = r.set_slug and s.version = r.set_version
left join evaluation.change c on c.tenant_id = r.tenant_id and c.id = r.change_id
where r.tenant_id = $1 and r.id = $2

-- name: index_state
-- How many versions of documents the caller reads, and the newest.
select count(*) as versions, (array_agg(id order by id desc))[1] as newest_version from documents.version where tenant_id = $1

-- name: add_result
-- What came of a run.
insert into evaluation.result (tenant_id, run_id, pins, results, failure) values ($1, $2, $3, $4, $5)

-- name: approve_run
-- Approves a run.
insert into evaluation.run_approval (tenant_id, run_id, approved_by) values ($1, $2, $3)

-- name: changes
-- Changes, newest first, or one of them, with their runs.
select c.id, c.models, c.support_levels, c.proposed_by, c.proposed_at,
  case when c.withdrawn_at is not null then 'withdrawn' when r.approved then 'in_effect' when r.finished then 'tried' else 'proposed' end
    as state, coalesce(r.runs, '{}') as runs
from evaluation.change c
left join lateral (
  select array_agg(q.id order by q.id desc) as runs, bool_or(a.run_id is not null) as approved,
    bool_or(x.results is not null) as finished
  from evaluation.run q
  left join evaluation.result x on x.tenant_id = q.tenant_id and x.run_id = q.id
  left join evaluation.run_approval a on a.tenant_id = q.tenant_id and a.run_id = q.id
  where q.tenant_id = c.tenant_id and q.change_id = c.id
) r on true
where c.tenant_id = $1 and ($2::uuid is null or c.id = $2)
order by c.proposed_at desc, c.id desc limit 200

-- name: withdraw_change
-- Takes back a change that is not in effect; no row when it is none that waits.
update evaluation.change set withdrawn_at = now() where tenant_id = $1 and id = $2 and withdrawn_at is null returning id

-- name: rule
-- What the tenant asks of changes; no row when it asks nothing.
select changes_need_approval, unapproved, changed_by, changed_at from evaluation.rule where tenant_id = $1

-- name: relaxes
-- Whether a rule asks less than the one that holds.
select evaluation.relaxes($1, $2)

-- name: set_rule
-- Replaces what the tenant asks of changes.
insert into evaluation.rule (tenant_id, changes_need_approval, unapproved, changed_by) values ($1, $2, $3, $4)
on conflict (tenant_id) do update set changes_need_approval = excluded.changes_need_approval, unapproved = excluded.unapproved,
  changed_by = excluded.changed_by, changed_at = now()
