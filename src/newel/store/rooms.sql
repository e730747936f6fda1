-- Rooms: where only so many may be active at once. Places are counted, not kept.

-- name: known
-- params: none
-- All rooms with their places.
select name, at_most from newel.room order by name

-- name: declare
-- params: name, at_most
-- Sets the places of a room; without a number there are as many as are wanted.
insert into newel.room (name, at_most) values ($1, $2)
on conflict (name) do update set at_most = excluded.at_most

-- name: call_queued
-- params: system
-- Calls the oldest steps that wait for a place at a system, as many as there are places.
select newel.call_queued($1)
