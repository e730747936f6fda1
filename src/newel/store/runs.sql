-- Runs: claiming, taking over, finding. The rows are written by changes.sql alone; a claim and
-- a takeover only move the owner.

-- name: claim_ready
-- params: worker, epoch, how_many, processes, versions
-- The most urgent runs that nobody owns and that are due, for a worker whose lease holds and that
-- knows their process; skips rows another worker is claiming. What a newer version of the code has
-- driven is left to workers of that one, as long as one lives.
with me as (
    select id from newel.worker
    where id = $1 and epoch = $2 and lease_until > clock_timestamp() for key share),
ready as (
    select id from newel.run
    where worker_id is null and wake_at is not null and room is null
      and wake_at <= newel.now()
      and process = any($4)
      and (version <= ($5::integer[])[array_position($4, process)]
           or not exists (
               select 1 from newel.worker w
               where w.stopped_at is null
                 and w.lease_until > clock_timestamp() - interval '30 seconds'
                 and (w.definitions ->> process)::integer
                     > ($5::integer[])[array_position($4, process)]))
    order by priority, wake_at limit $3
    for update skip locked)
update newel.run r
set worker_id = $1, worker_epoch = $2, wake_at = null, readings = r.readings + 1
from ready, me where r.id = ready.id
returning r.id

-- name: let_go_strays
-- params: worker, epoch, held
-- Lets go of runs that a worker owns and has not in its memory: their claim's answer was lost, or
-- they are of an epoch before. They are ready at once.
update newel.run set worker_id = null, worker_epoch = null, wake_at = newel.now()
where id in (select id from newel.run
             where worker_id = $1 and (worker_epoch <> $2 or id <> all($3))
             for update skip locked)
returning id

-- name: nudged
-- params: worker
-- Runs of this worker that somebody else has written to, or that are due again.
select id from newel.run where worker_id = $1 and wake_at <= newel.now()

-- name: next_due
-- params: none
-- The earliest moment at which a run that nobody owns is due, with the database's time and how
-- far a test or demo has moved it; apart from these, the earliest in a room that has a place
-- left. One look into the index for each priority that there is: a plain min() reads all that
-- wait, at every poll of every worker.
with recursive urgency as (
    (select priority from newel.run where worker_id is null and wake_at is not null
         and room is null
     order by priority limit 1)
    union all
    select (select r.priority from newel.run r
            where r.worker_id is null and r.wake_at is not null and r.room is null
              and r.priority > u.priority
            order by r.priority limit 1)
    from urgency u where u.priority is not null)
select newel.now() as as_of, (select clock_offset from newel.deployment) as moved,
       (select min(first.wake_at)
        from urgency u
        cross join lateral (
            select r.wake_at from newel.run r
            where r.worker_id is null and r.wake_at is not null and r.room is null
              and r.priority = u.priority
            order by r.wake_at limit 1) first) as due,
       (select min(first.wake_at)
        from newel.room m
        cross join unnest(array[50, 100, 150]::smallint[]) as u(priority)
        cross join lateral (
            select r.wake_at from newel.run r
            where r.worker_id is null and r.wake_at is not null and r.room = m.name
              and r.priority = u.priority
            order by r.wake_at limit 1) first
        where m.name like 'process/%'
          and (m.at_most is null
               or m.at_most > (select count(*) from newel.run a
                               where a.room = m.name and a.worker_id is not null))) as due_in_room

-- name: claim_in_rooms
-- params: worker, epoch, how_many, processes, versions
-- The most urgent due runs of processes that have only so many places; see the function.
select id from newel.claim_in_rooms($1, $2, $3, $4, $5) as c(id)

-- name: load
-- params: runs
-- What a worker needs of each run to drive it.
select r.id, r.process, r.version, r.state, r.subject, r.seq, r.head, r.last_at, r.cancelling,
       r.paused_at, r.paused_by, r.acknowledged_at,
       r.worker_id, r.worker_epoch, r.started_at, r.seen, r.readings, r.limit_at, r.is_overdue,
       r.parent_run, newel.now() as as_of, d.sha256,
       k.n as key_n, k.wrapped, k.kek_id
from newel.run r
join newel.definition d on d.process = r.process and d.version = r.version
left join lateral (select n, wrapped, kek_id from newel.person_key p
                   where p.person = r.subject and p.wrapped is not null
                   order by n desc limit 1) k on true
where r.id = any($1)

-- name: ends
-- params: runs
-- How runs have ended, those that have: what their last event but an acknowledgement says.
select r.id, r.state, r.subject, e.payload, k.n as key_n, k.wrapped, k.kek_id
from newel.run r
left join lateral (select n, wrapped, kek_id from newel.person_key p
                   where p.person = r.subject and p.wrapped is not null
                   order by n desc limit 1) k on true
left join lateral (select payload from newel.event v
                   where v.stream_id = r.id
                     and v.type in ('run.completed', 'run.failed', 'run.cancelled')
                   order by v.seq desc limit 1) e on true
where r.id = any($1) and r.finished_at is not null

-- name: children
-- params: run
-- The open children of a run that are cancelled with it, and theirs.
with recursive family as (
    select id from newel.run
    where parent_run = $1 and with_parent and finished_at is null
    union all
    select r.id from family f join newel.run r on r.parent_run = f.id
    where r.with_parent and r.finished_at is null)
select id from family order by id

-- name: locked
-- params: run
-- One run under its row lock, for an operator's command. Whoever falls asleep with it must not
-- keep it: the server ends a transaction that has been idle for ten seconds.
select r.id, r.process, r.version, r.state, r.subject, r.seq, r.head, r.last_at, r.cancelling,
       r.paused_at, r.paused_by, r.acknowledged_at,
       r.worker_id, r.worker_epoch, r.started_at, r.seen, newel.now() as as_of,
       r.parked_reason, r.parked_with, d.sha256,
       k.n as key_n, k.wrapped, k.kek_id,
       set_config('idle_in_transaction_session_timeout', '10s', true) as idle
from newel.run r
join newel.definition d on d.process = r.process and d.version = r.version
left join lateral (select n, wrapped, kek_id from newel.person_key p
                   where p.person = r.subject and p.wrapped is not null
                   order by n desc limit 1) k on true
where r.id = $1
for update of r

-- name: listed
-- params: state, process, subject, before, how_many
-- Runs, newest first, narrowed by state, process and subject where given.
select r.id, r.process, r.version, r.state, r.subject, r.parked_reason, r.parked_with, r.wake_at,
       r.started_at, r.finished_at, r.cancelling, d.title, d.owner, p.display_name,
       s.standing,
       (select count(*) from newel.event e
        where e.stream_id = r.id and e.type in ('step.succeeded', 'step.failed', 'step.skipped',
              'step.completed_by_hand', 'task.decided')) as done,
       (select count(*) from newel.open_act a where a.run_id = r.id) as open
from newel.run r
join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person p on p.ref = r.subject
where ($1::text is null or r.state = $1 or s.standing = $1
       or ($1 = 'open' and r.finished_at is null))
  and ($2::text is null or r.process = $2)
  and ($3::uuid is null or r.subject = $3)
  and ($4::uuid is null or r.id < $4)
order by r.id desc limit $5

-- name: read
-- params: run
-- One run with its definition, subject and standing.
select r.id, r.process, r.version, r.state, r.subject, r.parked_reason, r.parked_with, r.wake_at,
       r.started_at, r.finished_at, r.cancelling, r.paused_at, r.paused_by, r.acknowledged_at,
       r.worker_id, r.worker_epoch, r.seq, d.title,
       d.owner, d.sha256, p.display_name, s.standing, newel.now() as as_of
from newel.run r
join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person p on p.ref = r.subject
where r.id = $1

-- name: exists
-- params: run
-- Whether there is such a run.
select exists (select 1 from newel.run where id = $1)

-- name: subject_of
-- params: run
-- Whom a run is about.
select subject from newel.run where id = $1

-- name: open_of_subject
-- params: process, subject
-- The open run of a process about a person, if there is one.
select id from newel.run where process = $1 and subject = $2 and finished_at is null

-- name: counts
-- params: none
-- How many runs there are of each standing, among those that are open.
select s.standing, count(*) as how_many
from newel.run r join newel.run_standing s on s.id = r.id
where r.finished_at is null group by s.standing

-- name: put_back
-- params: run, worker, epoch, seq, readings, wake_at, version
-- Lets go of a run for which nothing was to be done; its state stays, and so no event is due. What
-- version of the code has seen it is noted.
update newel.run
set worker_id = null, worker_epoch = null, wake_at = $6, seen_version = $7, seen = $4
where id = $1 and worker_id = $2 and worker_epoch = $3 and seq = $4 and readings = $5
  and (wake_at is null or wake_at > newel.now())

-- name: let_go
-- params: run, worker, epoch
-- Lets go of a run that somebody has written to meanwhile; it is due at once.
update newel.run set worker_id = null, worker_epoch = null, wake_at = newel.now()
where id = $1 and worker_id = $2 and worker_epoch = $3 and finished_at is null

-- name: heard
-- params: run, worker, epoch
-- Notes that the owner has seen what others wrote; answers with the run if it is still owned.
update newel.run set wake_at = null, readings = readings + 1
where id = $1 and worker_id = $2 and worker_epoch = $3 returning id

-- name: wake
-- params: run
-- Makes a run due now.
update newel.run set wake_at = newel.now() where id = $1 and finished_at is null

-- name: wake_blocked
-- params: processes, versions
-- Makes runs due that other code could not go on with, for a worker whose code has not tried yet.
-- An older worker's turn comes when no newer one lives. Rows that somebody holds come next time.
update newel.run set wake_at = newel.now()
where id in (
    select r.id from newel.run r
    where r.state = 'parked' and r.parked_reason in ('bug', 'blocked', 'drifted')
      and r.worker_id is null and r.wake_at is null
      and r.process = any($1)
      and r.version <> ($2::integer[])[array_position($1, r.process)]
      and (r.version < ($2::integer[])[array_position($1, r.process)]
           or not exists (
               select 1 from newel.worker w
               where w.stopped_at is null
                 and w.lease_until > clock_timestamp() - interval '30 seconds'
                 and (w.definitions ->> r.process)::integer
                     > ($2::integer[])[array_position($1, r.process)]))
    for update of r skip locked)
returning id

-- name: look_over
-- params: processes, versions, how_many
-- Makes open runs due that a version has not seen yet, the oldest first.
update newel.run set wake_at = newel.now()
where id in (
    select r.id from newel.run r
    where r.finished_at is null and r.worker_id is null
      and (r.wake_at is null or r.wake_at > newel.now())
      and r.process = any($1)
      and greatest(r.version, r.seen_version)
          < ($2::integer[])[array_position($1, r.process)]
    order by r.id limit $3
    for update of r skip locked)
returning id

-- name: enter_room
-- params: process, room
-- Counts the open runs of a process that has a limit from now on.
update newel.run set room = $2
where process = $1 and finished_at is null and room is distinct from $2

-- name: put_off
-- params: run, worker, pause
-- Lets go of a run that nothing can be done with now; it is due again after a pause.
update newel.run set worker_id = null, worker_epoch = null, wake_at = newel.now() + $3
where id = $1 and worker_id = $2 and finished_at is null

-- name: expiring
-- params: before, how_many
-- Runs that ended before a moment and still have their payloads, the oldest first; locked. Those
-- under legal hold keep them, and about somebody who is; so do those that these started about nobody.
with held as materialized (select id from newel.held_run)
select r.id, r.seq, r.head, r.last_at, r.state, r.subject from newel.run r
where r.finished_at < $1 and r.payload_expired_at is null
  and not exists (select from held where held.id = r.id)
order by r.finished_at limit $2 for update of r skip locked

-- name: mark_expired
-- params: runs
-- Marks runs whose payloads are emptied in this transaction.
update newel.run set payload_expired_at = newel.now() where id = any($1)

-- name: prunable
-- params: before, how_many
-- Runs that ended before a moment, whose payloads are gone and of which the log has given up every
-- event, the oldest first; locked. Not those under legal hold, nor of a parent that is open.
with held as materialized (select id from newel.held_run)
select r.id from newel.run r
where r.finished_at < $1 and r.payload_expired_at is not null and r.pruned_at is null
  and not exists (select from held where held.id = r.id)
  and not exists (select from newel.run p where p.id = r.parent_run and p.finished_at is null)
  and not exists (
      select from newel.event e
      where e.stream_id = r.id and not newel.is_given_up(e.stream_id, e.seq))
order by r.finished_at limit $2 for update of r skip locked

-- name: held
-- params: runs
-- Which of these, locked before, are under legal hold by now, or of a run that is.
select distinct id from newel.held_run where id = any($1)

-- name: mark_pruned
-- params: runs
-- Marks runs whose events are removed in this transaction.
update newel.run set pruned_at = newel.now() where id = any($1)
