-- The list of runs for people. The rows are written by changes.sql alone.

-- name: listed
-- params: standing, process, subject, before, how_many
-- Runs, newest first, with what they have done; newel's own only where they are asked for.
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
where ($1::text is null or s.standing = $1
       or ($1 = 'open' and r.finished_at is null)
       or ($1 = 'ended' and r.finished_at is not null))
  and (r.process = $2 or ($2::text is null and r.process not like 'newel.%'))
  and ($3::uuid is null or r.subject = $3)
  and ($4::uuid is null or r.id < $4)
order by r.id desc limit $5

-- name: counts
-- params: process, subject
-- How many runs there are of each standing.
select s.standing, count(*) as how_many
from newel.run r join newel.run_standing s on s.id = r.id
where (r.process = $1 or ($1::text is null and r.process not like 'newel.%'))
  and ($2::uuid is null or r.subject = $2)
group by s.standing
