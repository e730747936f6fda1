-- Messages from outside, kept until a wait takes them; the oldest first, by `n`.

-- name: kept_before
-- params: source, event_id
-- A message that was sent before: what it was and what became of it.
select name, match, to_run, digest, taken_by, is_lost from newel.inbox
where source = $1 and event_id = $2

-- name: keep
-- params: source, event_id, name, match, to_run, payload, digest, is_lost
-- Keeps a message, once.
insert into newel.inbox (source, event_id, name, match, to_run, payload, digest, is_lost)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (source, event_id) do nothing returning id

-- name: waiting
-- params: name, match, to_run
-- Open waits for an event that a message fits, oldest first: those of the run it was sent to, or
-- those with the same correlation.
select run_id, key, match from newel.open_act
where kind = 'event' and event = $1
  and (($3::uuid is not null and run_id = $3 and ($2::text is null or match is null or match = $2))
       or ($3::uuid is null and match = $2))
order by opened_at, run_id, key

-- name: take
-- params: name, match, run
-- Takes the oldest kept message that fits a wait of a run.
update newel.inbox set taken_by = $3, taken_at = newel.now()
where id = (select id from newel.inbox
            where name = $1 and taken_by is null and not is_lost
              and ((to_run = $3 and ($2::text is null or match is null or match = $2))
                   or (to_run is null and match = $2))
            order by n limit 1 for update skip locked)
returning source, event_id, payload

-- name: listed
-- params: state, how_many
-- Messages as they lie, the latest first: kept ones, lost ones, taken ones, or all.
select source, event_id, name, match, to_run, received_at, taken_by, taken_at, is_lost
from newel.inbox
where $1 = 'all' or ($1 = 'kept' and taken_by is null and not is_lost)
   or ($1 = 'lost' and is_lost) or ($1 = 'taken' and taken_by is not null)
order by n desc limit $2

-- name: overlooked
-- params: none
-- Waits for which a message is kept: whoever should have handed it over has died.
select fits.run_id, fits.key, i.name
from newel.inbox i
cross join lateral (
    (select a.run_id, a.key from newel.open_act a
     where i.to_run is null and a.kind = 'event' and a.event = i.name and a.match = i.match
     order by a.opened_at, a.run_id, a.key limit 1)
    union all
    (select a.run_id, a.key from newel.open_act a
     where a.run_id = i.to_run and a.kind = 'event' and a.event = i.name
       and (a.match is null or i.match is null or a.match = i.match)
     order by a.opened_at, a.key limit 1)) fits
where i.taken_by is null and not i.is_lost
limit 100
