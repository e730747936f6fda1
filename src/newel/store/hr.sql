-- What HR has said of each employment, and until when its system was asked for changes.

-- name: meet
-- params: feed, employee
-- Makes the row of an employment that nothing is known of.
insert into newel.hr_record (feed, employee, settled_at) values ($1, $2, newel.now())
on conflict do nothing

-- name: locked
-- params: feed, employee
-- What is known of an employment, under its row lock.
select h.starts_on, h.ends_on, h.position, h.onboarding, h.offboarding,
       coalesce(i.finished_at is not null, false) as is_onboarded,
       coalesce(o.finished_at is not null, false) as is_offboarded
from newel.hr_record h
left join newel.run i on i.id = h.onboarding
left join newel.run o on o.id = h.offboarding
where h.feed = $1 and h.employee = $2 for update of h

-- name: settle
-- params: feed, employee, starts_on, ends_on, position, onboarding, offboarding
-- Keeps what is known of an employment now.
update newel.hr_record
set starts_on = $3, ends_on = $4, position = $5, onboarding = $6, offboarding = $7,
    settled_at = newel.now()
where feed = $1 and employee = $2

-- name: asked_until
-- params: feed
-- Until when a feed was asked for changes.
select asked_until from newel.hr_feed where name = $1

-- name: ask_from
-- params: feed, moment
-- Asks for changes from a moment on; never from an earlier one than before.
insert into newel.hr_feed (name, asked_until) values ($1, $2)
on conflict (name) do update
set asked_until = greatest(newel.hr_feed.asked_until, excluded.asked_until)
