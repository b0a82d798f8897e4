-- name: add_job
-- A job of the caller.
insert into jobs.job (tenant_id, id, kind, requested_by, request_id, on_behalf_of, parameters) values ($1, $2, $3, $4, $5, $6, $7)

-- name: job
-- A job that the caller may see.
select id, kind, requested_by, status, attempts, done, total, result, error_code, error_detail, retryable, created_at,
  finished_at
from jobs.job where tenant_id = $1 and id = $2

-- name: list_jobs
-- A page of the jobs that the caller may see, newest first.
select id, kind, requested_by, status, attempts, done, total, result, error_code, error_detail, retryable, created_at,
  finished_at
from jobs.job where tenant_id = $1 and id < $2 and ($3::text is null or status = $3)
order by id desc limit $4

-- name: unfinished
-- How many jobs of a kind the tenant has that have not ended, at most so many.
select jobs.unfinished($1, $2)

-- name: cancel_job
-- Ends a job before it has ended by itself; no row when it has.
update jobs.job set status = 'cancelled', finished_at = now()
where tenant_id = $1 and id = $2 and status in ('queued', 'running') returning kind, parameters

-- name: retry_failed_job
-- Queues a job again that has failed and might succeed another time; no row when it is none.
update jobs.job set status = 'queued', attempts = 0, run_after = now(), retryable = false, finished_at = null, done = null, total = null
where tenant_id = $1 and id = $2 and status = 'failed' and retryable returning kind

-- name: lease
-- Takes the job that is next, of whatever tenant but these, and of others still none of these kinds.
select tenant_id, id, kind, requested_by, request_id, on_behalf_of, attempts from jobs.lease($1, $2, $3, $4, $5, $6)

-- name: lease_expired
-- Takes a failed job that nobody tried again within so many days, of whatever tenant.
select tenant_id, id, kind, requested_by, request_id, on_behalf_of, attempts, error_code, error_detail
from jobs.lease_expired($1, $2, make_interval(days => $3))

-- name: forget_jobs
-- Forgets jobs that ended more than so many days ago; says how many.
select jobs.forget(make_interval(days => $1))

-- name: leased_parameters
-- What the job that the worker has is about; no row when it has it no more.
select parameters from jobs.job where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running'

-- name: hold_job
-- Locks the job; no row when the worker has it no more.
select id from jobs.job where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' for no key update

-- name: renew_lease
-- Keeps the job for as many seconds more and says how far it is; no row when the worker has it no more.
update jobs.job set leased_until = now() + make_interval(secs => $4), done = $5, total = $6
where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' returning id

-- name: finish_job
-- Ends the job with what came of it; no row when the worker has it no more.
update jobs.job set status = 'succeeded', result = $4, done = coalesce(total, done), finished_at = now()
where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' returning id

-- name: fail_job
-- Ends the job with a reason; no row when the worker has it no more.
update jobs.job set status = 'failed', error_code = $4, error_detail = $5, retryable = $6, finished_at = now()
where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' returning id

-- name: retry_job
-- Puts the job back for as many seconds, with the reason; no row when the worker has it no more.
update jobs.job set status = 'queued', run_after = now() + make_interval(secs => $4), error_code = $5, error_detail = $6,
  done = null, total = null
where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' returning id

-- name: hand_back_job
-- Puts the job back as if it had not been begun; no row when the worker has it no more.
update jobs.job set status = 'queued', attempts = attempts - 1, run_after = now(), done = null, total = null
where tenant_id = $1 and id = $2 and lease_id = $3 and status = 'running' returning id
