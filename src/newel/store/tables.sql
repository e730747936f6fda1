-- What a test reads of a deployment that it leads: whole tables; nothing in production does.

-- name: all_run
-- params: none
-- The runs.
select id, process, version, state, seq, worker_id, wake_at, parked_reason, parked_with, subject,
       started_at, finished_at
from newel.run

-- name: all_incident
-- params: none
-- The incidents.
select id, state, probe_at
from newel.incident

-- name: all_open_act
-- params: none
-- What is open, of all runs.
select run_id, key, kind, state, attempt, next_at, due_at, opened_at, reason, owner, detail
from newel.open_act

-- name: all_task
-- params: none
-- The tasks.
select id, run_id, key, state, owner, assignee, four_eyes, decided_by, evidence
from newel.task

-- name: all_inbox
-- params: none
-- The messages.
select source, event_id
from newel.inbox

-- name: event_of
-- params: stream_id
-- The journal of one stream.
select seq, type, key, occurred_at, entry, payload
from newel.event where stream_id = $1

-- name: open_act_of
-- params: run_id
-- What is open of one run.
select run_id, key, kind, state, attempt, next_at, due_at, opened_at, reason, owner, detail
from newel.open_act where run_id = $1

-- name: access_grant_of
-- params: person
-- The grants of one person, the intervals of each entitlement in their order.
select id, entitlement, level, state, intended_at, valid_from, valid_to, since_unknown, route,
       evidence, reason_kind, continues, made_run, made_key, made_seq, ended_run, ended_key,
       ended_seq, removed_at, removed_run, removed_key, recorded_at
from newel.access_grant where person = $1
order by entitlement, recorded_at, state not in ('suspended', 'revoked')

-- name: person_key_of
-- params: person
-- The wrapped keys of one person.
select n, wrapped
from newel.person_key where person = $1
