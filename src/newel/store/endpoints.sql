-- Endpoints that are told of events, and their deliveries. New deliveries are written by
-- commit_batch, in the transaction of the event.

-- name: known
-- params: name
-- One endpoint under its row lock.
select name, url_host, events, retired_at, failing_since, disabled_at, disabled_for
from newel.webhook_endpoint where name = $1 for update

-- name: declare
-- params: name, url_host, events
-- Keeps what the code declares; an endpoint that had retired is back.
insert into newel.webhook_endpoint (name, url_host, events, registered_at)
values ($1, $2, $3, newel.now())
on conflict (name) do update set
    url_host = excluded.url_host, events = excluded.events,
    registered_at = excluded.registered_at, retired_at = null

-- name: retire
-- params: declared
-- Ends the endpoints that are not declared any more; answers with their names and hosts.
update newel.webhook_endpoint set retired_at = newel.now()
where name <> all($1) and retired_at is null
returning name, url_host

-- name: claim
-- params: name, how_many, seconds
-- Takes deliveries of an endpoint that are due, each for a while and as one more attempt, with the
-- leaf they are about. What another worker has taken is skipped.
with due as (
    select d.endpoint, d.stream_id, d.seq
    from newel.webhook_delivery d
    where d.endpoint = $1 and d.state = 'waiting' and d.next_at <= newel.now()
      and (d.claimed_until is null or d.claimed_until < clock_timestamp())
      and not exists (select from newel.webhook_endpoint e
                      where e.name = $1 and e.disabled_at is not null)
    order by d.next_at limit $2 for update of d skip locked),
taken as (
    update newel.webhook_delivery d
    set attempts = d.attempts + 1,
        claimed_until = clock_timestamp() + make_interval(secs => $3::float8)
    from due where (d.endpoint, d.stream_id, d.seq) = (due.endpoint, due.stream_id, due.seq)
    returning d.stream_id, d.seq, d.event_id, d.attempts)
select t.stream_id, t.seq, t.event_id, t.attempts, v.entry, p.id as deployment,
       newel.now() as as_of
from taken t
cross join newel.deployment p
left join newel.event v on (v.stream_id, v.seq) = (t.stream_id, t.seq)

-- name: accepted
-- params: name, stream_id, seq, answer
-- An endpoint has accepted a delivery, whichever attempt it was.
update newel.webhook_delivery
set state = 'accepted', next_at = null, claimed_until = null, ended_at = newel.now(), answer = $4
where endpoint = $1 and stream_id = $2 and seq = $3 and state = 'waiting'

-- name: failed
-- params: name, stream_id, seq, attempts, next_at, answer
-- An attempt has failed; without a next moment the delivery is given up. An attempt that somebody
-- else has made meanwhile counts instead.
update newel.webhook_delivery
set state = case when $5::timestamptz is null then 'dead' else 'waiting' end,
    next_at = $5, claimed_until = null, answer = $6,
    ended_at = case when $5::timestamptz is null then newel.now() end
where endpoint = $1 and stream_id = $2 and seq = $3 and state = 'waiting' and attempts = $4

-- name: well
-- params: name
-- An endpoint accepts what it is told; noted once a minute.
update newel.webhook_endpoint set accepted_at = newel.now(), failing_since = null
where name = $1 and (failing_since is not null or accepted_at is null
                     or accepted_at < newel.now() - interval '1 minute')

-- name: unwell
-- params: name
-- An endpoint has not accepted something.
update newel.webhook_endpoint set failing_since = newel.now()
where name = $1 and failing_since is null

-- name: disable
-- params: name, disabled_for
-- Sends nothing any more; answers with nothing if that was so.
update newel.webhook_endpoint set disabled_at = newel.now(), disabled_for = $2
where name = $1 and disabled_at is null returning disabled_at

-- name: enable
-- params: name
-- Sends again.
update newel.webhook_endpoint
set disabled_at = null, disabled_for = null, failing_since = null where name = $1

-- name: due_now
-- params: name
-- Makes due at once what waits for an endpoint.
update newel.webhook_delivery set next_at = newel.now()
where endpoint = $1 and state = 'waiting' and next_at > newel.now()

-- name: again
-- params: name, event_ids
-- Sends deliveries again, from the first attempt on: of these events, or all that were given up.
update newel.webhook_delivery
set state = 'waiting', attempts = 0, next_at = newel.now(), claimed_until = null, ended_at = null,
    answer = null
where endpoint = $1
  and (event_id = any($2::uuid[]) or ($2::uuid[] is null and state = 'dead'))
  and (claimed_until is null or claimed_until < clock_timestamp())
returning event_id

-- name: in_trouble
-- params: declared, before
-- Endpoints that a person has to look at: gone, or without success since before a moment.
select name, url_host, failing_since, disabled_at, disabled_for from newel.webhook_endpoint
where name = any($1)
  and (disabled_for = 'gone' or (disabled_at is null and failing_since <= $2))

-- name: listed
-- params: none
-- The endpoints by name, with how much waits for each, and how much was given up.
select e.name, e.url_host, e.events, e.accepted_at, e.failing_since, e.disabled_at, e.disabled_for,
       w.waiting, w.oldest, d.dead
from newel.webhook_endpoint e
cross join lateral (
    select count(*) as waiting, min(made_at) as oldest from newel.webhook_delivery
    where endpoint = e.name and state = 'waiting') w
cross join lateral (
    select count(*) as dead from newel.webhook_delivery
    where endpoint = e.name and state = 'dead') d
where e.retired_at is null order by e.name

-- name: deliveries
-- params: name, state, made_at, event_id, how_many
-- Deliveries of an endpoint, the latest event first, with the run of the event if it has one;
-- without a state, in all of them; after a moment and an event, those that are older.
select d.event_id, d.type, d.made_at, d.state, d.attempts, d.next_at, d.ended_at, d.answer,
       r.id as run_id
from newel.webhook_delivery d
left join newel.run r on r.id = d.stream_id
where d.endpoint = $1 and ($2::text is null or d.state = $2)
  and ($3::timestamptz is null or (d.made_at, d.event_id) < ($3, $4::uuid))
order by d.made_at desc, d.event_id desc limit $5

-- name: figures
-- params: name, since
-- How an endpoint has fared with the events since a moment: how many were accepted, how many of
-- them by the first attempt, how many attempts that took, and how long half of them, and nearly
-- all, had to wait until they were.
select count(*) filter (where state = 'accepted') as accepted,
       count(*) filter (where state = 'accepted' and attempts = 1) as at_once,
       count(*) filter (where state = 'dead') as dead,
       coalesce(sum(attempts), 0)::bigint as attempts,
       percentile_disc(0.5) within group (order by ended_at - made_at)
           filter (where state = 'accepted') as half,
       percentile_disc(0.95) within group (order by ended_at - made_at)
           filter (where state = 'accepted') as nearly_all
from newel.webhook_delivery where endpoint = $1 and made_at >= $2

-- name: by_hour
-- params: name, since
-- The events that an endpoint was to be told of since a moment, by hour from there, and what became
-- of them.
select floor(extract(epoch from made_at - $2) / 3600)::integer as hour,
       count(*) filter (where state = 'accepted') as accepted,
       count(*) filter (where state = 'waiting') as waiting,
       count(*) filter (where state = 'dead') as dead
from newel.webhook_delivery where endpoint = $1 and made_at >= $2
group by 1 order by 1

-- name: forget
-- params: before, dead_before, how_many
-- Removes deliveries that have ended before a moment, those that were given up before another, and
-- what has waited for so long, too: each from an index of its own.
with accepted as (
    select endpoint, stream_id, seq from newel.webhook_delivery
    where state = 'accepted' and ended_at < $1
    order by ended_at limit $3 for update skip locked),
dead as (
    select endpoint, stream_id, seq from newel.webhook_delivery
    where state = 'dead' and ended_at < $2
    order by ended_at limit $3 for update skip locked),
waiting as (
    select endpoint, stream_id, seq from newel.webhook_delivery
    where state = 'waiting' and made_at < $2
    order by made_at limit $3 for update skip locked)
delete from newel.webhook_delivery d
using (table accepted union all table dead union all table waiting) o
where (d.endpoint, d.stream_id, d.seq) = (o.endpoint, o.stream_id, o.seq)
returning d.state
