-- Human work: reading it. The rows are written by changes.sql alone.

-- name: opened
-- params: how_many
-- Open tasks, by due time (none last), then by age.
select t.id, t.run_id, t.key, t.kind, t.title, t.instructions, t.subject, t.owner, t.assignee,
       t.opened_at, t.due_at, t.state, t.decision, t.decided_at, t.version,
       t.form, t.evidence, t.verb, t.reminded_at, t.reminders,
       s.display_name as subject_name, a.display_name as assignee_name,
       b.display_name as decided_by_name, r.process, d.title as process_title,
       newel.now() as as_of
from newel.task t
join newel.run r on r.id = t.run_id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person s on s.ref = t.subject
left join newel.person a on a.ref = t.assignee
left join newel.person b on b.ref = t.decided_by
where t.state = 'open'
order by t.due_at nulls last, t.opened_at limit $1

-- name: ended
-- params: how_many
-- Tasks that were decided, expired or withdrawn, the latest first.
select t.id, t.run_id, t.key, t.kind, t.title, t.instructions, t.subject, t.owner, t.assignee,
       t.opened_at, t.due_at, t.state, t.decision, t.decided_at, t.version,
       t.form, t.evidence, t.verb, t.reminded_at, t.reminders,
       s.display_name as subject_name, a.display_name as assignee_name,
       b.display_name as decided_by_name, r.process, d.title as process_title,
       newel.now() as as_of
from newel.task t
join newel.run r on r.id = t.run_id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person s on s.ref = t.subject
left join newel.person a on a.ref = t.assignee
left join newel.person b on b.ref = t.decided_by
where t.state <> 'open'
order by coalesce(t.decided_at, t.due_at, t.opened_at) desc limit $1

-- name: read
-- params: task
-- One task with its run and the people in it.
select t.id, t.run_id, t.key, t.kind, t.title, t.instructions, t.subject, t.owner, t.assignee,
       t.opened_at, t.due_at, t.state, t.decision, t.decided_at, t.version,
       t.form, t.evidence, t.verb, t.reminded_at, t.reminders, f.size as file_size,
       f.sha256 as file_sha256, f.content is not null as has_file,
       s.display_name as subject_name, s.work_email as subject_address,
       a.display_name as assignee_name,
       a.work_email as assignee_address, b.display_name as decided_by_name,
       r.process, r.started_at, d.title as process_title,
       (select e.entry from newel.event e where e.stream_id = r.id and e.seq = 1) as first_entry,
       newel.now() as as_of
from newel.task t
join newel.run r on r.id = t.run_id
left join newel.definition d on d.process = r.process and d.version = r.version
left join newel.person s on s.ref = t.subject
left join newel.person a on a.ref = t.assignee
left join newel.person b on b.ref = t.decided_by
left join newel.task_file f on f.task_id = t.id
where t.id = $1
