-- What monitoring reads: a few numbers of the deployment as a whole, none of a person or a run.

-- name: numbers
-- params: none
-- Everything that is one number; ages in seconds, null where there is nothing that could be old.
select
    (select count(*) from newel.event_batch) as unsealed_batches,
    (select extract(epoch from clock_timestamp() - min(recorded_at)) from newel.event_batch)::float8
        as unsealed_age,
    (select extract(epoch from clock_timestamp() - max(created_at))
     from newel.audit_checkpoint)::float8 as checkpoint_age,
    (select extract(epoch from clock_timestamp() - max(created_at))
     from newel.audit_anchor)::float8 as anchor_age,
    (select count(*) from newel.worker
     where stopped_at is null and lease_until > clock_timestamp()) as workers_alive,
    (select count(*) from newel.worker
     where stopped_at is null and lease_until <= clock_timestamp()) as workers_lost,
    (select coalesce(sum(epoch - 1), 0) from newel.worker)::bigint as leases_ended,
    (select count(*) from newel.run r where r.wake_at < newel.now() and r.worker_id is null)
        as due_runs,
    (select extract(epoch from newel.now() - min(r.wake_at)) from newel.run r
     where r.wake_at < newel.now() and r.worker_id is null)::float8 as due_age,
    (select count(*) from newel.open_act where detail ->> 'doubt' is not null) as steps_in_doubt,
    (select count(*) from newel.inbox where taken_at is null and not is_lost) as inbox_waiting,
    (select extract(epoch from clock_timestamp() - min(received_at)) from newel.inbox
     where taken_at is null and not is_lost)::float8 as inbox_age,
    clock_timestamp() as server_time

-- name: counted
-- params: none
-- How many there are of each sort: what is counted, its labels by name, how many, and the age of
-- the oldest in seconds, where that says something.
select 'runs' as what, jsonb_build_object('state', state) as labels, count(*) as how_many,
       null::float8 as age
from newel.run where finished_at is null group by state
union all
select 'parked_steps', jsonb_build_object('reason', reason), count(*),
       extract(epoch from newel.now() - min(opened_at))::float8
from newel.open_act where state = 'parked' group by reason
union all
select 'open_tasks', '{}', count(*), extract(epoch from newel.now() - min(opened_at))::float8
from newel.task where state = 'open' having count(*) > 0
union all
select 'open_incidents', jsonb_build_object('system', system, 'state', state), count(*),
       extract(epoch from newel.now() - min(opened_at))::float8
from newel.incident where state <> 'closed' group by system, state
union all
select 'paused_systems', jsonb_build_object('system', substr(name, 8)), 1,
       extract(epoch from newel.now() - paused_at)::float8
from newel.room where paused_at is not null
union all
select 'webhook_deliveries', jsonb_build_object('endpoint', endpoint, 'state', state), count(*),
       extract(epoch from newel.now() - min(made_at))::float8
from newel.webhook_delivery where state in ('waiting', 'dead') group by endpoint, state
order by 1, 2
