-- Invariants of the engine as questions to the rows (engine document, §2). Each block answers with
-- what breaks one: a run, the key or type where it does, and nothing where all is well. `since` bounds
-- the look into histories: of runs that ended before, only the row is read.

-- name: stuck
-- params: none
-- I1: open runs without an owner, a moment, something awaited, or a person who must act.
select r.id as run_id, r.process as what
from newel.run r
where r.finished_at is null and r.worker_id is null and r.wake_at is null
  and r.paused_at is null and r.state <> 'parked'
  and not exists (
      select 1 from newel.open_act a
      where a.run_id = r.id
        and (a.state = 'parked'
             or a.kind in ('event', 'child')
             or (a.kind = 'lock' and a.state = 'open')
             or (a.kind in ('approval', 'form')
                 and exists (select 1 from newel.task t
                             where t.id = a.task_id and t.state = 'open'))))
order by r.id limit 1000

-- name: abandoned
-- params: patience
-- I1: runs of a worker that is gone, or whose lease ran out longer ago than patience allows.
select r.id as run_id, 'worker w_' || r.worker_id as what
from newel.run r left join newel.worker w on w.id = r.worker_id
where r.worker_id is not null
  and (w.id is null or w.lease_until < clock_timestamp() - $1::interval)
order by r.id limit 1000

-- name: forgotten_intents
-- params: none
-- I1: attempts of which nobody knows the end, of runs that nobody will look at.
select a.run_id, a.key as what
from newel.open_act a join newel.run r on r.id = a.run_id
where a.state = 'attempting' and r.worker_id is null and r.paused_at is null
  and r.state <> 'parked' and (r.wake_at is null or r.wake_at > newel.now())
order by a.run_id limit 1000

-- name: unintended
-- params: since
-- I2: results of attempts without a record that they were about to be made.
select e.stream_id as run_id, e.key as what
from newel.run r
join newel.event e on e.stream_id = r.id and e.type = 'step.succeeded'
where (r.finished_at is null or r.finished_at >= $1) and r.pruned_at is null
  and not exists (select 1 from newel.event s
                  where s.stream_id = e.stream_id and s.key = e.key and s.seq < e.seq
                    and s.type = 'step.started')
order by 1, 2 limit 1000

-- name: doubled
-- params: since
-- I3: a second result of a step whose first stands: no person asked for it, and no other code.
select e.stream_id as run_id, e.key as what
from newel.run r
join newel.event e on e.stream_id = r.id and e.type in ('step.succeeded', 'step.failed')
where (r.finished_at is null or r.finished_at >= $1)
  and exists (select 1 from newel.event f
              where f.stream_id = e.stream_id and f.key = e.key and f.seq < e.seq
                and f.type in ('step.succeeded', 'step.failed')
                and not exists (select 1 from newel.event b
                                where b.stream_id = e.stream_id and b.seq > f.seq
                                  and b.seq < e.seq and b.type in ('step.retried', 'run.amended')))
order by 1, 2 limit 1000

-- name: gaps
-- params: since
-- I4: runs whose journal is not what their row counts: an event is missing, or one too many.
select r.id as run_id, r.process as what
from newel.run r
left join lateral (select count(*) as how_many, max(e.seq) as last
                   from newel.event e where e.stream_id = r.id) e on true
where (r.finished_at is null or r.finished_at >= $1) and r.pruned_at is null
  and (r.seq <> coalesce(e.last, 0) or r.seq <> e.how_many)
order by r.id limit 1000

-- name: misstated
-- params: since
-- I4: runs that ended otherwise than their last event says.
select r.id as run_id, e.type as what
from newel.run r
join newel.event e on e.stream_id = r.id and e.seq = r.seq
where r.finished_at >= $1 and e.type <> 'run.acknowledged'
  and e.type <> 'run.payload_expired' and e.type <> 'run.' || r.state
order by r.id limit 1000

-- name: orphans
-- params: none
-- What is still open of runs that have ended, or are not there.
select a.run_id, a.key as what
from newel.open_act a left join newel.run r on r.id = a.run_id
where r.id is null or r.finished_at is not null
order by a.run_id, a.key limit 1000

-- name: orphaned_tasks
-- params: none
-- Tasks that people see and whose run does not wait for them any more.
select t.run_id, t.key as what
from newel.task t
left join newel.open_act a on a.run_id = t.run_id and a.task_id = t.id
where t.state = 'open' and a.run_id is null
order by t.run_id, t.key limit 1000

-- name: doubled_tickets
-- params: none
-- I8: issues that stand for more than one incident, and open incidents of one cause.
select min(i.lead_run::text)::uuid as run_id, k.channel || ' ' || k.external_key as what
from newel.ticket k join newel.incident i on i.id = k.incident_id
where k.state = 'open'
group by k.channel, k.external_key having count(*) > 1
