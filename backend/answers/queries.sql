-- name: begin_conversation
-- Makes a conversation the caller's, unless there is one of that name.
insert into answers.conversation (tenant_id, id, principal_id, subject_id) values ($1, $2, $3, $4) on conflict do nothing

-- name: own_conversation
-- A conversation, if it is the caller's.
select began_at from answers.conversation where tenant_id = $1 and id = $2

-- name: conversation_of_turn
-- The conversation that a turn of the caller's belongs to.
select conversation_id from answers.turn where tenant_id = $1 and id = $2

-- name: add_turn
-- Adds a turn whose answer is being recorded.
insert into answers.turn (tenant_id, id, conversation_id, answer_event, refused) values ($1, $2, $3, $4, $5)

-- name: turns
-- The last turns of a conversation, up to and with one of them, newest first.
select id, answer_event, refused, answered_at from answers.turn
where tenant_id = $1 and conversation_id = $2 and id <= $3 order by id desc limit $4

-- name: texts
-- The encrypted texts of answers, with the keys of the caller's data subject: no other keys are given out here.
with months as (
  select distinct month from audit.data_key where tenant_id = $1 and subject_id = (select tenancy.subject_id())
), keys as (
  select k.id, k.wrapped from months cross join lateral audit.own_data_key(months.month) k
)
select p.event_id, p.name, p.key_id, keys.wrapped, p.ciphertext from audit.payload p join keys on keys.id = p.key_id
where p.tenant_id = $1 and p.event_id = any ($2) and p.name in ('question', 'read_as', 'answer', 'citations')

-- name: conversations
-- The caller's conversations that have a turn, the last begun first.
select c.id, c.began_at, t.turns, t.first_answer
from answers.conversation c cross join lateral (
  select count(*) as turns, (array_agg(answer_event order by id))[1] as first_answer
  from answers.turn t where t.tenant_id = c.tenant_id and t.conversation_id = c.id) t
where c.tenant_id = $1 and t.turns > 0 and (c.began_at, c.id) < ($2, $3) order by c.began_at desc, c.id desc limit $4

-- name: add_candidate
-- Lets who reviews documents take a question whose answer was reported into an evaluation set: its text as the record has it.
insert into evaluation.candidate (tenant_id, turn, answer_event, key_id, ciphertext, reported_by)
select t.tenant_id, t.id, t.answer_event, p.key_id, p.ciphertext, $3
from answers.turn t join audit.payload p on p.tenant_id = t.tenant_id and p.event_id = t.answer_event and p.name = 'question'
where t.tenant_id = $1 and t.id = $2
on conflict do nothing
