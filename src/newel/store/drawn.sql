-- Drawings of processes as they were read when their versions were registered.

-- name: drawing
-- params: process, version
-- The drawing of a version, or of the newest; nothing for what could not be drawn.
select drawing from newel.definition
where process = $1 and ($2::integer is null or version = $2)
order by version desc limit 1

-- name: versions
-- params: process
-- All versions of a process, the newest first, with how many open runs go by each.
select d.version, d.sha256, d.registered_at, count(r.id)::integer as open_runs
from newel.definition d
left join newel.run r
    on r.process = d.process and r.version = d.version and r.finished_at is null
where d.process = $1
group by d.version, d.sha256, d.registered_at
order by d.version desc
