-- Messages from outside, kept until a wait takes them.

-- name: keep
-- params: source, event_id, name, match, payload
-- Keeps a message, once.
insert into newel.inbox (source, event_id, name, match, payload) values ($1, $2, $3, $4, $5)
on conflict (source, event_id) do nothing returning id

-- name: waiting
-- params: name, match
-- Open waits for messages of a name and correlation, oldest first.
select run_id, key from newel.open_act
where kind = 'event' and split_part(key, '#', 1) = $1 and match is not distinct from $2
order by opened_at

-- name: take
-- params: name, match, run
-- Takes the oldest kept message for a run.
update newel.inbox set taken_by = $3
where id = (select id from newel.inbox
            where name = $1 and match is not distinct from $2 and taken_by is null
            order by received_at limit 1 for update skip locked)
returning source, event_id, payload
