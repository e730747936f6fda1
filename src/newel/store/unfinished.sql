-- Runs that are not over, for whoever looks at all of them before new code comes.

-- name: unfinished
-- params: processes, after, how_many
-- Open runs of these processes, in the order of their ids, from one on.
select r.id, r.process, r.state, r.subject from newel.run r
where r.finished_at is null and r.process = any($1) and ($2::uuid is null or r.id > $2)
order by r.id limit $3
