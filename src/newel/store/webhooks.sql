-- Webhooks: deliveries from outside, kept once, and what became of them.

-- name: keep_received
-- params: id, source, event_id, digest, body, received_at
-- Keeps a delivery, once; waits for another transaction that keeps the same.
insert into newel.webhook_received (id, source, event_id, digest, body, received_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (source, event_id) do nothing returning id

-- name: received_before
-- params: source, event_id
-- The digest of a delivery that was kept before.
select digest from newel.webhook_received where source = $1 and event_id = $2

-- name: settle_received
-- params: id, runs, messages, refused
-- Says what a delivery has started and sent, and why not all of it.
update newel.webhook_received
set runs = $2, messages = $3, refused = $4 where id = $1

-- name: locked_received
-- params: id
-- One delivery under its row lock.
select id, source, event_id, body, received_at, runs, messages, refused
from newel.webhook_received where id = $1 for update

-- name: received
-- params: source, only_refused, how_many
-- Deliveries as they came, the latest first; without a source, of all.
select id, source, event_id, received_at, runs, messages, refused, body is not null as is_kept
from newel.webhook_received
where ($1::text is null or source = $1) and (not $2::boolean or refused is not null)
order by received_at desc limit $3

-- name: heard
-- params: names
-- When something came last from each source, and how many of its deliveries were not all done.
select s.name,
       (select max(received_at) from newel.webhook_received r where r.source = s.name) as heard_at,
       (select count(*) from newel.webhook_received r
        where r.source = s.name and r.refused is not null) as refused
from unnest($1::text[]) as s (name)

-- name: empty_received
-- params: before
-- Empties bodies that no sender would send again; refused ones stay for whoever looks at them.
update newel.webhook_received set body = null
where body is not null and refused is null and received_at < $1

-- name: refusal
-- params: source, cause, at
-- Makes the counter of a refusal; answers with it if it is new.
insert into newel.webhook_refusal (source, cause, told_at) values ($1, $2, $3)
on conflict (source, cause) do nothing returning told_at

-- name: locked_refusal
-- params: source, cause
-- The counter of a refusal under its row lock.
select told_at, untold from newel.webhook_refusal where source = $1 and cause = $2 for update

-- name: count_refusal
-- params: source, cause, told_at, untold
-- Sets the counter of a refusal.
update newel.webhook_refusal set told_at = $3, untold = $4 where source = $1 and cause = $2

-- name: untold_refusals
-- params: before
-- Refusals that were counted and not told for a while.
select source, cause from newel.webhook_refusal where untold > 0 and told_at < $1

-- name: meet_source
-- params: name
-- Notes since when a source is watched.
insert into newel.webhook_source (name, watched_since) values ($1, newel.now())
on conflict do nothing

-- name: last_heard
-- params: name, names
-- When something came last from a source, under any of its names; else since when it is watched.
select coalesce((select max(received_at) from newel.webhook_received where source = any($2)),
                (select watched_since from newel.webhook_source where name = $1))

-- name: sealed_after
-- params: id, how_many
-- Bodies that are kept, after an id, locked.
select id, body as sealed from newel.webhook_received
where id > $1 and body is not null order by id limit $2 for update

-- name: reseal
-- params: id, sealed
-- Keeps a body as it is sealed under another key-encryption key.
update newel.webhook_received set body = $2 where id = $1
