-- What matters about a run to the people who watch it; one definition for chips, filters,
-- counts and JSON. First match wins (console document, §2.1).
create view newel.run_standing as
select r.id,
       case
           when r.finished_at is not null then r.state
           when r.paused_at is not null then 'paused'
           when r.state = 'parked' or exists (
               select 1 from newel.open_act a where a.run_id = r.id and a.state = 'parked')
               then 'parked'
           when exists (
               select 1 from newel.task t where t.run_id = r.id and t.state = 'open') then 'task'
           when exists (
               select 1 from newel.open_act a
               where a.run_id = r.id and a.reason is distinct from 'place'
                 and (a.state = 'retrying' or a.attempt > 1)) then 'retrying'
           when exists (
               select 1 from newel.open_act a where a.run_id = r.id and a.state = 'attempting')
               or r.worker_id is not null or r.wake_at <= newel.now() then 'running'
           else 'waiting'
       end as standing
from newel.run r;

-- The same from the other side, for counts: the runs that do more than wait, gathered from the
-- partial indexes that hold them. Each row says what it makes of its run, the least rank wins.
create view newel.run_moving as
select id, (array['paused', 'parked', 'task', 'retrying', 'running'])[min(rank)] as standing
from (select id, 1 as rank from newel.run where paused_at is not null and finished_at is null
      union all select id, 2 from newel.run where state = 'parked'
      union all select run_id, 2 from newel.open_act where state = 'parked'
      union all select run_id, 3 from newel.task where state = 'open'
      union all select run_id, 4 from newel.open_act
                where state = 'retrying' and reason is distinct from 'place'
      union all select run_id, case when attempt > 1 and reason is distinct from 'place'
                                    then 4 else 5 end
                from newel.open_act where state = 'attempting' and effect_key is null
      union all select run_id, case when attempt > 1 and reason is distinct from 'place'
                                    then 4 else 5 end
                from newel.open_act where state = 'attempting' and effect_key is not null
      union all select id, 5 from newel.run where worker_id is not null
      union all select id, 5 from newel.run
                where worker_id is null and room is null and wake_at <= newel.now()
      union all select id, 5 from newel.run
                where worker_id is null and room is not null and wake_at <= newel.now()) seen
group by id;
