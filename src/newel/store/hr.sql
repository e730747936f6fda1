-- What HR has said of each employment, and until when its system was asked for changes.

-- name: meet
-- params: feed, employee
-- Makes the row of an employment that nothing is known of.
insert into newel.hr_record (feed, employee, settled_at) values ($1, $2, newel.now())
on conflict do nothing

-- name: locked
-- params: feed, employee
-- What is known of an employment, under its row lock.
select h.starts_on, h.ends_on, h.position, h.name, h.onboarding, h.offboarding, h.look_at,
       coalesce(i.finished_at is not null, false) as is_onboarded,
       coalesce(o.finished_at is not null, false) as is_offboarded
from newel.hr_record h
left join newel.run i on i.id = h.onboarding
left join newel.run o on o.id = h.offboarding
where h.feed = $1 and h.employee = $2 for update of h

-- name: settle
-- params: feed, employee, starts_on, ends_on, position, name, onboarding, offboarding, look_at
-- Keeps what is known of an employment now.
update newel.hr_record
set starts_on = $3, ends_on = $4, position = $5, name = $6, onboarding = $7, offboarding = $8,
    look_at = $9, settled_at = newel.now()
where feed = $1 and employee = $2

-- name: look_again
-- params: feed, employee, moment
-- Looks at an employment again at a moment; what is known of it stays.
update newel.hr_record set look_at = $3, settled_at = newel.now()
where feed = $1 and employee = $2

-- name: to_look_at
-- params: feed
-- Whose records have to be looked at again, without a word of HR.
select employee, look_at from newel.hr_record where feed = $1 and look_at <= newel.now()
order by look_at, employee

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
