-- Rooms: where only so many may be active at once. Places are counted, not kept.

-- name: known
-- params: none
-- All rooms with the places that the code allows.
select name, case when paused_at is null then at_most else allows end as at_most
from newel.room order by name

-- name: declare
-- params: name, at_most
-- Sets the places of a room; without a number there are as many as are wanted. A paused one has
-- none before it is resumed.
insert into newel.room (name, at_most) values ($1, $2)
on conflict (name) do update set
    at_most = case when newel.room.paused_at is null then excluded.at_most else 0 end,
    allows = case when newel.room.paused_at is null then null else excluded.at_most end

-- name: pause
-- params: name, by
-- Leaves a room without a place; answers with its name, with nothing if it is paused already.
insert into newel.room (name, at_most, paused_at, paused_by) values ($1, 0, newel.now(), $2)
on conflict (name) do update set
    at_most = 0, allows = newel.room.at_most,
    paused_at = excluded.paused_at, paused_by = excluded.paused_by
where newel.room.paused_at is null
returning name

-- name: resume
-- params: name
-- Gives a paused room its places back; answers with its name, with nothing if it is not paused.
update newel.room set at_most = allows, allows = null, paused_at = null, paused_by = null
where name = $1 and paused_at is not null
returning name

-- name: paused
-- params: none
-- The systems that somebody has paused, who, and since when.
select substr(name, length('system/') + 1) as system, paused_at, paused_by from newel.room
where paused_at is not null and name like 'system/%' order by name

-- name: call_queued
-- params: system
-- Calls the oldest steps that wait for a place at a system, as many as there are places.
select newel.call_queued($1)
