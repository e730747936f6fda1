-- The journal: reading what happened. Rows are written by changes.sql alone.

-- name: outcomes
-- params: runs
-- What replaying needs of each run: its input, its fingerprints, its outcomes, in order.
select stream_id, seq, type, key, occurred_at, entry, payload
from newel.event
where stream_id = any($1)
  and type in ('run.started', 'run.amended', 'run.version_changed', 'run.drifted',
               'step.started', 'step.attempt_failed', 'step.succeeded', 'step.failed',
               'step.cancelled', 'step.skipped', 'step.completed_by_hand', 'step.retried',
               'step.kept', 'wait.opened', 'wait.closed', 'task.decided',
               'act.recorded')
order by stream_id, seq

-- name: open_acts
-- params: runs
-- What is open of each run.
select run_id, key, kind, state, attempt, next_at, due_at, opened_at, intended_at, worker_id,
       worker_epoch, fingerprint, effect_key, system, credential, incident_id, reason, owner,
       task_id, event, match, detail
from newel.open_act where run_id = any($1)

-- name: events
-- params: stream, after, how_many
-- The events of one stream, in order.
select seq, type, key, occurred_at, entry, payload
from newel.event where stream_id = $1 and seq > $2 order by seq limit $3
