-- All that the invariants are judged by, read as of one moment. For tests and for a look at a
-- database that has been through something; it reads whole tables.

-- name: runs
-- params: none
-- The runs.
select id, process, state, seq, head, worker_id, worker_epoch, wake_at, parked_reason,
       parked_with, started_at, finished_at, newel.now() as as_of
from newel.run

-- name: events
-- params: none
-- The journal in order, with the head of each stream that is no run.
select stream_id, seq, type, key, occurred_at, entry from newel.event order by stream_id, seq

-- name: streams
-- params: none
-- The streams that are no run.
select id, name, seq, head from newel.audit_stream

-- name: open_acts
-- params: none
-- What is open.
select run_id, key, kind, state, attempt, next_at, due_at, intended_at, worker_id, worker_epoch,
       owner, task_id, incident_id
from newel.open_act

-- name: workers
-- params: none
-- The workers, and whether the lease of each holds.
select id, epoch, stopped_at, lease_until > clock_timestamp() as holds from newel.worker

-- name: batches
-- params: none
-- Who wrote which batch, in the order of writing.
select id, worker_id, worker_epoch from newel.event_batch order by id

-- name: tickets
-- params: none
-- Tickets by incident.
select incident_id, channel, external_key from newel.ticket

-- name: overlooked
-- params: none
-- Messages that are kept although a wait is open for them.
select i.name, i.match, a.run_id, a.key
from newel.inbox i
join newel.open_act a on a.kind = 'event' and a.event = i.name and a.match = i.match
where i.taken_by is null and not i.is_lost and i.to_run is null
