-- Files that people attach to a task as evidence: sealed like the payloads of their run.

-- name: keep
-- params: task, run, name, content, size, sha256, at
-- Keeps the file of a task, with its decision; one for each task, for ever.
insert into newel.task_file (task_id, run_id, name, content, size, sha256, attached_at)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: read
-- params: task
-- The file of a task, with what opens it; its content is empty once its time is over.
select f.run_id, f.name, f.content, f.sha256, r.subject, k.n as key_n, k.wrapped
from newel.task_file f
join newel.run r on r.id = f.run_id
left join lateral (select n, wrapped from newel.person_key p
                   where p.person = r.subject and p.wrapped is not null
                   order by n desc limit 1) k on true
where f.task_id = $1

-- name: empty
-- params: runs
-- Empties the files of runs whose payloads are emptied.
update newel.task_file set name = null, content = null where run_id = any($1)
