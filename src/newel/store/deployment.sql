-- The deployment: what this database is for, and its clock. Only a test and a demo may move the
-- clock; a CHECK refuses it elsewhere.

-- name: read
-- params: none
-- What this database is for, what time it has, and whether anything ever ran in it.
select kind, clock_offset, newel.now() as as_of, exists (select 1 from newel.run) as is_used
from newel.deployment

-- name: mark_demo
-- params: none
-- Makes an unused database one for the demo; answers with nothing if runs are in it.
update newel.deployment set kind = 'demo', clock_offset = interval '0'
where not exists (select 1 from newel.run) returning kind

-- name: mark_test
-- params: none
-- Makes an unused database one for a test; answers with nothing if runs are in it.
update newel.deployment set kind = 'test', clock_offset = interval '0'
where not exists (select 1 from newel.run) returning kind

-- name: move_clock
-- params: by
-- Moves the clock of a test or a demo; answers with the new time.
update newel.deployment set clock_offset = clock_offset + $1::interval
returning clock_timestamp() + clock_offset as as_of

-- name: calm
-- params: none
-- Whether nobody works on anything, nothing is due and no incident is being ended, with the
-- moments at which something will be due.
select newel.now() as as_of,
       not exists (select 1 from newel.run where worker_id is not null)
           and not exists (select 1 from newel.run
                           where worker_id is null and wake_at <= newel.now())
           and not exists (select 1 from newel.incident
                           where state in ('healing', 'healed')) as is_calm,
       (select min(wake_at) from newel.run
        where worker_id is null and wake_at > newel.now()) as next_run,
       (select min(probe_at) from newel.incident
        where state in ('watching', 'escalated', 'healing')) as next_probe

-- name: holder
-- params: process
-- Machine and process number of the worker that drives a run of a process now, if one does.
select w.host, w.pid from newel.run r
join newel.worker w on w.id = r.worker_id and w.epoch = r.worker_epoch
where r.process = $1 and r.finished_at is null limit 1

-- name: is_made
-- params: none
-- Whether there is a deployment at all, of whatever version.
select to_regclass('newel.deployment') is not null

-- name: lock_kind
-- params: none
-- What this database is for, held until the transaction ends.
select kind from newel.deployment for update

-- name: forget_all
-- params: none
-- Deletes everything; only ever used on a demo's own database.
drop schema newel cascade

-- name: set_second_person
-- params: mode
-- Notes which rule for second persons holds; answers with the one before, where it was another.
update newel.deployment d set second_person = $1
from newel.deployment b where b.only_row = d.only_row and b.second_person <> $1
returning b.second_person as before

-- name: set_keep_log
-- params: days
-- Keeps for how many days events are kept; answers with what it was before, if it is another.
update newel.deployment d set keep_log_days = $1
from newel.deployment b where b.only_row = d.only_row and b.keep_log_days is distinct from $1
returning b.keep_log_days as before
