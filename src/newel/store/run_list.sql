-- The list of runs for people. The rows are written by changes.sql alone.
--
-- A page is found in two steps, ids first: what is open by a partial index, what is of one rare
-- standing by the few rows that can have it, so that neither reads what is over or what only
-- waits. Then the rows of the page are read.

-- name: listed
-- params: runs
-- The given runs, newest first, with what they have done.
select r.id, r.process, r.version, r.state, r.subject, r.parked_reason, r.parked_with, r.wake_at,
       r.started_at, r.finished_at, r.cancelling, r.paused_at, r.paused_by,
       r.acknowledged_at, d.title, d.owner, p.display_name,
       s.standing,
       (select count(distinct split_part(e.key, '#', 1)) from newel.event e
        where e.stream_id = r.id and e.type in ('step.succeeded', 'step.failed', 'step.skipped',
              'step.completed_by_hand', 'task.decided')) as done
from newel.run r
join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person p on p.ref = r.subject
where r.id = any($1)
order by r.id desc

-- name: all_ids
-- params: process, subject, before, how_many
-- Runs, newest first; newel's own only where they are asked for.
select r.id from newel.run r
where (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: open_ids
-- params: process, subject, before, how_many
-- Open runs, newest first.
select r.id from newel.run r
where r.finished_at is null
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: ended_ids
-- params: process, subject, before, how_many
-- Runs that have ended, newest first.
select r.id from newel.run r
where r.finished_at is not null
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: completed_ids
-- params: process, subject, before, how_many
-- Runs that were completed, newest first.
select r.id from newel.run r
where r.state = 'completed'
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: stopped_ids
-- params: process, subject, before, how_many, state
-- Runs that failed or were cancelled, newest first.
select r.id from newel.run r
where r.state in ('failed', 'cancelled') and r.state = $5
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: waiting_ids
-- params: process, subject, before, how_many
-- Open runs that only wait, newest first; nearly all that are open do.
select r.id from newel.run r join newel.run_standing s on s.id = r.id
where r.finished_at is null and s.standing = 'waiting'
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: moving_ids
-- params: process, subject, before, how_many, standing
-- Open runs of a standing other than waiting, newest first, among the few that can have it.
with likely as (
    select id from newel.run where $5 = 'paused' and paused_at is not null and finished_at is null
    union select id from newel.run where $5 = 'parked' and state = 'parked'
    union select run_id from newel.open_act where $5 = 'parked' and state = 'parked'
    union select run_id from newel.task where $5 = 'task' and state = 'open'
    union select run_id from newel.open_act where $5 = 'retrying' and state = 'retrying'
    union select run_id from newel.open_act
          where $5 in ('running', 'retrying') and state = 'attempting'
            and effect_key is null
    union select run_id from newel.open_act
          where $5 in ('running', 'retrying') and state = 'attempting'
            and effect_key is not null
    union select id from newel.run where $5 = 'running' and worker_id is not null
    union select id from newel.run
          where $5 = 'running' and worker_id is null and room is null and wake_at <= newel.now()
    union select id from newel.run
          where $5 = 'running' and worker_id is null and room is not null
            and wake_at <= newel.now())
select r.id
from likely join newel.run r on r.id = likely.id join newel.run_standing s on s.id = r.id
where s.standing = $5
  and (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2) and ($3::uuid is null or r.id < $3)
order by r.id desc limit $4

-- name: open_counts
-- params: bound
-- How many open runs there are of each standing, no further than to the bound: those that do more
-- than wait are few and counted, and all others wait. An act or a task is only open while its
-- run is, so no run need be read; newel's own are taken out.
with own as materialized (
    select id from newel.run where finished_at is null and process like 'newel.%'),
judged as materialized (
    select standing, count(*) as how_many from newel.run_moving
    where id not in (select id from own) group by standing),
others as (select coalesce(sum(how_many), 0)::bigint as how_many from judged)
select standing, least(how_many, $1::bigint) as how_many from judged
union all
select 'waiting',
       (select count(*) from (
            select from newel.run
            where finished_at is null and process not like 'newel.%'
            limit $1::bigint + (select how_many from others)) everything)
       - (select how_many from others)

-- name: open_counts_of_process
-- params: process, bound
-- How many open runs of a process there are of each standing, no further than to the bound.
with own as materialized (
    select id from newel.run where finished_at is null and process = $1),
judged as materialized (
    select m.standing, count(*) as how_many
    from newel.run_moving m join own on own.id = m.id group by m.standing)
select standing, least(how_many, $2::bigint) as how_many from judged
union all
select 'waiting',
       least((select count(*) from own) - (select coalesce(sum(how_many), 0) from judged),
             $2::bigint)

-- name: ended_counts
-- params: bound
-- How many runs there are of each end, no further than to the bound.
select wanted.state as standing,
       (select count(*) from (
            select from newel.run r
            where r.finished_at is not null and r.state = wanted.state
              and r.process not like 'newel.%' limit $1::bigint) counted) as how_many
from (values ('completed')) as wanted (state)
union all
select wanted.state,
       (select count(*) from (
            select from newel.run r
            where r.state in ('failed', 'cancelled') and r.state = wanted.state
              and r.process not like 'newel.%' limit $1::bigint) counted)
from (values ('failed'), ('cancelled')) as wanted (state)

-- name: ended_counts_of_process
-- params: process, bound
-- How many runs of a process there are of each end, no further than to the bound.
select wanted.state as standing,
       (select count(*) from (
            select from newel.run r
            where r.finished_at is not null and r.process = $1 and r.state = wanted.state
            limit $2::bigint) counted) as how_many
from (values ('completed'), ('failed'), ('cancelled')) as wanted (state)

-- name: counts_of_subject
-- params: subject, process
-- How many runs about one person there are of each standing.
select s.standing, count(*) as how_many
from newel.run r join newel.run_standing s on s.id = r.id
where r.subject = $1 and (r.process = $2 or ($2::text is null and r.process not like 'newel.%'))
group by s.standing
