-- How systems answer: calls by hour and by length, counted by workers.

-- name: add
-- params: systems, upto_ms, calls, failures
-- Adds what a worker has counted to the present hour.
insert into newel.system_calls (system, hour, upto_ms, calls, failures)
select u.system, date_trunc('hour', newel.now(), 'UTC'), u.upto_ms, u.calls, u.failures
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[])
     as u (system, upto_ms, calls, failures)
order by u.system, u.upto_ms
on conflict (system, hour, upto_ms) do update set
    calls = newel.system_calls.calls + excluded.calls,
    failures = newel.system_calls.failures + excluded.failures

-- name: forget
-- params: kept
-- Forgets the hours that ended longer ago than they are kept.
delete from newel.system_calls where hour < newel.now() - $1::interval

-- name: since
-- params: systems, since
-- What was counted of some systems since a moment.
select system, hour, upto_ms, calls, failures from newel.system_calls
where system = any($1) and hour >= $2 order by system, hour, upto_ms
