-- What the bench reads of the server, and what pgbench commits.

-- name: counters
-- params: none
-- Write-ahead log written and transactions ended so far, by everybody on this database.
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint as wal_bytes,
       (select xact_commit from pg_catalog.pg_stat_database
        where datname = pg_catalog.current_database())
           as transactions

-- name: open_runs
-- params: none
-- How many runs have not ended.
select count(*) from newel.run where finished_at is null

-- name: commit_one
-- params: none
-- The smallest transaction that has to be durable: one record in the log, no table.
select pg_catalog.pg_logical_emit_message(true, 'newel.bench', 'x')

-- name: open_tasks
-- params: runs
-- Open tasks of some runs.
select id from newel.task where run_id = any($1) and state = 'open'

-- name: not_ended
-- params: runs
-- How many of some runs have not ended.
select count(*) from newel.run where id = any($1) and finished_at is null

-- name: active
-- params: runs
-- For how many microseconds each of some runs was at work, as its last leaf says.
select (convert_from(entry, 'UTF8')::jsonb -> 'data' ->> 'active_us')::bigint as active_us
from newel.event where stream_id = any($1) and type = 'run.completed'

-- name: make_slow
-- params: none
-- A database whose commits are a millisecond slower, as on ordinary disks.
create database newel_slow

-- name: delay
-- params: none
-- The delay before each flush of the log, in microseconds.
alter database newel_slow set commit_delay = 1000

-- name: always_delay
-- params: none
-- The delay holds for every commit, however few others are under way.
alter database newel_slow set commit_siblings = 0
