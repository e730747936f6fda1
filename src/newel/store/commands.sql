-- What verbs read before they decide; they write through changes.sql.

-- name: task
-- params: task
-- One task, with the name of whoever decided it.
select t.id, t.run_id, t.key, t.kind, t.title, t.subject, t.owner, t.assignee, t.excluded,
       t.four_eyes, t.opened_at, t.due_at, t.state, t.decision, t.decided_by, t.decided_at,
       t.version, t.form, t.evidence, t.verb, p.display_name as decided_by_name
from newel.task t left join newel.person p on p.ref = t.decided_by
where t.id = $1

-- name: starters
-- params: run
-- Who asked for a run, as its first leaf says, and for the runs that it was started by.
with recursive line as (
    select id, parent_run from newel.run where id = $1
    union all
    select r.id, r.parent_run from line l join newel.run r on r.id = l.parent_run)
select convert_from(e.entry, 'UTF8')::jsonb -> 'data' ->> 'requested_by' as requested_by
from line join newel.event e on e.stream_id = line.id and e.seq = 1

-- name: decided_in_group
-- params: run, four_eyes, person
-- Whether a person has decided another task of the same four-eyes group in this run.
select exists (select 1 from newel.task
               where run_id = $1 and four_eyes = $2 and decided_by = $3 and state = 'decided')

-- name: input
-- params: run
-- The sealed input that a run goes by: the last one it was given.
select payload from newel.event
where stream_id = $1 and type in ('run.started', 'run.amended') order by seq desc limit 1

-- name: is_proposed
-- params: run, key
-- Whether a second person is being asked at this key of a run.
select exists (select 1 from newel.task where run_id = $1 and key = $2 and state = 'open')

-- name: proposal
-- params: run, key
-- The sealed act that a second person is asked to confirm: the last one at this key.
select payload from newel.event
where stream_id = $1 and key = $2 and type = 'task.opened' order by seq desc limit 1

-- name: unconfirmed
-- params: how_many
-- Proposals that nobody can confirm any more: their time is over, or their run has ended.
select t.id, t.run_id, t.due_at, r.finished_at
from newel.task t join newel.run r on r.id = t.run_id
where t.state = 'open' and t.verb is not null
  and (t.due_at <= newel.now() or r.finished_at is not null)
order by t.due_at limit $1
