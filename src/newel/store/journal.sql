-- The journal: reading what happened. Rows are written by changes.sql alone.

-- name: outcomes
-- params: runs
-- What replaying needs of each run: its input, its fingerprints, its outcomes, in order.
select stream_id, seq, type, key, occurred_at, entry, payload
from newel.event
where stream_id = any($1)
  and type in ('run.started', 'run.amended', 'run.version_changed', 'run.drifted',
               'step.started', 'step.attempt_failed', 'step.looked', 'step.succeeded',
               'step.failed', 'step.cancelled', 'step.skipped', 'step.completed_by_hand',
               'step.retried', 'step.kept', 'wait.opened', 'wait.closed', 'task.decided',
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

-- name: free_locks
-- params: runs
-- Acts of these runs that may have the lock they wait for: nobody holds it, and they come first
-- of those whose runs can take it; one that is parked or paused lets the others pass.
select a.run_id, a.key
from newel.open_act a
where a.run_id = any($1) and a.kind = 'lock' and a.state = 'open'
  and not exists (select from newel.open_act h
                  where h.kind = 'lock' and h.state = 'held' and h.match = a.match)
  and not exists (select from newel.open_act q
                  join newel.run r on r.id = q.run_id
                  where q.kind = 'lock' and q.state = 'open' and q.match = a.match
                    and (q.opened_at, q.run_id, q.key) < (a.opened_at, a.run_id, a.key)
                    and (r.id = a.run_id or (r.state <> 'parked' and r.paused_at is null)))

-- name: payload_digests
-- params: streams
-- The digests of the payloads that runs still have, in the order of their events; then of files.
select stream_id, array_agg(digest order by seq nulls last, digest) as digests
from (select stream_id, seq, encode(sha256(payload), 'hex') as digest
      from newel.event where stream_id = any($1) and payload is not null
      union all
      select run_id, null, encode(sha256(content), 'hex')
      from newel.task_file where run_id = any($1) and content is not null) held
group by stream_id

-- name: empty_payloads
-- params: streams
-- Empties the payloads of runs that are marked; the trigger refuses it for all others.
update newel.event set payload = null where stream_id = any($1) and payload is not null

-- name: prune
-- params: streams
-- Removes the events of runs that are marked, but how a run began and ended, what was decided, what
-- access it changed, and what the ledger points at; the trigger refuses it for all others.
delete from newel.event e
where e.stream_id = any($1) and e.type not like 'run.%' and e.type not like 'access.%'
  and e.type <> 'task.decided'
  and not exists (select 1 from newel.access_grant g
                  where (g.made_run, g.made_seq) = (e.stream_id, e.seq)
                     or (g.ended_run, g.ended_seq) = (e.stream_id, e.seq))
returning e.seq
