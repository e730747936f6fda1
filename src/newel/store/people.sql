-- People: reading and finding them. The rows are written by changes.sql alone.

-- name: read
-- params: person
-- One person with the manager's name.
select p.ref, p.hr_key, p.display_name, p.work_email, p.manager, p.key_state,
       m.display_name as manager_name, newel.now() as as_of
from newel.person p
left join newel.person m on m.ref = p.manager
where p.ref = $1

-- name: listed
-- params: refs, after, how_many
-- People by name, with their newest run and how many systems they hold access in.
select p.ref, p.hr_key, p.display_name, p.work_email, p.manager, m.display_name as manager_name,
       r.id as run_id, r.process, r.started_at, s.standing, d.title,
       (select count(distinct g.system) from newel.access_grant g
        where g.person = p.ref and g.state = 'active') as systems
from newel.person p
left join newel.person m on m.ref = p.manager
left join lateral (
    select id, process, version, started_at from newel.run
    where subject = p.ref order by finished_at is null desc, started_at desc limit 1) r on true
left join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where ($1::uuid[] is null or p.ref = any($1)) and p.display_name > $2
order by p.display_name, p.ref limit $3

-- name: candidates
-- params: text, grams, telling, how_many
-- People who share telling trigrams with what was typed, or whose address or number it is.
select p.ref, p.display_name, p.work_email, p.hr_key, m.display_name as manager_name,
       (lower(p.work_email) = lower($1) or p.hr_key = $1) as is_named,
       (select count(*) from unnest(p.search_grams) g where g = any($2::text[])) as shared
from newel.person p
left join newel.person m on m.ref = p.manager
where p.search_grams && $3::text[] or p.work_email in ($1, lower($1)) or p.hr_key = $1
order by is_named desc nulls last, shared desc, p.display_name, p.ref limit $4

-- name: names
-- params: refs
-- Names by reference.
select ref, display_name from newel.person where ref = any($1)

-- name: runs_of
-- params: person, how_many
-- Runs about a person with their standing, what they have done, and how they began.
select r.id, r.process, r.version, r.state, r.parked_reason, r.parked_with, r.wake_at,
       r.started_at, r.finished_at, r.cancelling, d.title, d.owner, s.standing,
       (select count(distinct split_part(e.key, '#', 1)) from newel.event e
        where e.stream_id = r.id and e.type in ('step.succeeded', 'step.failed', 'step.skipped',
              'step.completed_by_hand', 'task.decided')) as done,
       (select count(*) from newel.event e
        where e.stream_id = r.id and e.type = 'step.skipped') as skipped,
       (select e.entry from newel.event e where e.stream_id = r.id and e.seq = 1) as first_entry,
       (select e.entry from newel.event e
        where e.stream_id = r.id and e.type in ('run.failed', 'run.cancelled', 'run.completed')
        order by e.seq desc limit 1) as last_entry
from newel.run r
join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where r.subject = $1 and r.process not like 'newel.%'
order by r.finished_at is null desc, r.started_at desc limit $2

-- name: latest
-- params: person, how_many
-- The latest events of all runs about a person, attempts left out.
select e.stream_id, e.seq, e.type, e.key, e.occurred_at, e.entry, r.process, d.title
from newel.run r
join newel.event e on e.stream_id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where r.subject = $1 and r.process not like 'newel.%'
  and e.type not in ('step.started', 'step.attempt_failed', 'wait.opened', 'run.taken_over',
                     'access.requested', 'access.approved', 'access.pending', 'access.granted',
                     'access.verified')
order by e.occurred_at desc, e.seq desc limit $2
