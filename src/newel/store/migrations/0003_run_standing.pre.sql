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
