-- Schedules: what starts by itself, and which of its moments have been decided.

-- name: known
-- params: name
-- One schedule under its row lock.
select name, process, cron, zone, missed, next_at, paused_at, retired_at
from newel.schedule where name = $1 for update

-- name: declare
-- params: name, process, cron, zone, missed, next_at
-- Keeps what the code declares; a schedule that had retired is back.
insert into newel.schedule (name, process, cron, zone, missed, next_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (name) do update set
    process = excluded.process, cron = excluded.cron, zone = excluded.zone,
    missed = excluded.missed, next_at = excluded.next_at, retired_at = null,
    registered_at = clock_timestamp()

-- name: retire
-- params: processes, declared
-- Ends the schedules of these processes that the code declares no more; answers with their names.
update newel.schedule set retired_at = newel.now()
where process = any($1) and name <> all($2) and retired_at is null
returning name

-- name: next_due
-- params: names, processes, crons, zones, missed
-- When the first of these schedules is due, with the database's time; one that is declared
-- otherwise than here is left to who declares it so.
select newel.now() as as_of,
       (select min(s.next_at)
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
             as d(name, process, cron, zone, missed)
        join newel.schedule s on s.name = d.name
        where s.paused_at is null and s.retired_at is null
          and (s.process, s.cron, s.zone, s.missed) = (d.process, d.cron, d.zone, d.missed)) as due

-- name: take_due
-- params: names, processes, crons, zones, missed
-- The most overdue of these schedules, locked; skips those that another worker decides now.
select s.name, s.next_at, newel.now() as as_of
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     as d(name, process, cron, zone, missed)
join newel.schedule s on s.name = d.name
where s.paused_at is null and s.retired_at is null and s.next_at <= newel.now()
  and (s.process, s.cron, s.zone, s.missed) = (d.process, d.cron, d.zone, d.missed)
order by s.next_at limit 1 for update of s skip locked

-- name: decided
-- params: schedule, planned_at, decided_at, run, left_out, refused
-- Keeps what became of a planned moment, once.
insert into newel.occurrence (schedule, planned_at, decided_at, run_id, left_out, refused)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning schedule

-- name: go_on
-- params: name, next_at
-- The planned moment that is decided next.
update newel.schedule set next_at = $2 where name = $1

-- name: pause
-- params: name
-- Pauses a schedule; answers with nothing if it is paused, or there is none.
update newel.schedule set paused_at = newel.now()
where name = $1 and paused_at is null and retired_at is null returning name

-- name: resume
-- params: name, next_at
-- Lets a schedule go on from a moment.
update newel.schedule set paused_at = null, next_at = $2 where name = $1

-- name: listed
-- params: none
-- All schedules that have not retired, with the latest moment that was decided.
select s.name, s.process, s.cron, s.zone, s.missed, s.next_at, s.paused_at, newel.now() as as_of,
       o.planned_at, o.run_id, o.left_out, o.refused
from newel.schedule s
left join lateral (
    select planned_at, run_id, left_out, refused from newel.occurrence
    where schedule = s.name order by planned_at desc limit 1) o on true
where s.retired_at is null order by s.name

-- name: occurrences
-- params: name, how_many
-- What became of a schedule's moments, the latest first.
select planned_at, decided_at, run_id, left_out, refused
from newel.occurrence where schedule = $1 order by planned_at desc limit $2
