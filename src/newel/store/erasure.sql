-- Erasing a person: what stands in the way, and what is emptied of each table. One act across many
-- tables, in one transaction; rows stay where leaves, runs and grants refer to them.

-- name: lock_keys
-- params: person
-- The person's keys, locked: whoever starts something about the person waits until this is over.
select n, wrapped from newel.person_key where person = $1 order by n for update

-- name: lock_person
-- params: person
-- The person, locked.
select key_state from newel.person where ref = $1 for update

-- name: pending
-- params: person
-- What was ordered, unless its time is over.
select ordered_by, orderer, event_id, expires_at from newel.erasure
where person = $1 and expires_at > newel.now() and ended_at is null

-- name: order
-- params: person, ordered_by, orderer, event_id, lasts
-- Keeps an order until somebody else confirms it; one whose time is over makes room.
insert into newel.erasure (person, ordered_by, orderer, event_id, ordered_at, expires_at)
values ($1, $2, $3, $4, newel.now(), newel.now() + $5)
on conflict (person) do update set ordered_by = excluded.ordered_by, orderer = excluded.orderer,
    event_id = excluded.event_id, ordered_at = excluded.ordered_at,
    expires_at = excluded.expires_at
where newel.erasure.expires_at <= newel.now()
returning expires_at

-- name: carried_out
-- params: person
-- Ends the order.
update newel.erasure set ended_at = newel.now() where person = $1

-- name: in_the_way
-- params: person
-- What is still open about a person: runs, access, tasks that only they can do, a first password.
-- A hold counts on any run that erasing would empty, about them or about nobody.
select 'run' as kind, r.id, r.process as name from newel.run r
where r.subject = $1 and r.finished_at is null
union all
select 'access', g.id, g.entitlement from newel.access_grant g
where g.person = $1 and g.state in ('planned', 'approved', 'prepared', 'active')
union all
select 'task', t.id, t.key from newel.task t where t.assignee = $1 and t.state = 'open'
union all
select 'password', s.id, s.system from newel.received_secret s
where s.person = $1 and s.state = 'waiting'
union all
select 'hold', coalesce(h.person, h.run_id), 'legal hold' from newel.legal_hold h
where h.released_at is null
  and (h.person = $1 or h.run_id in (select newel.line_of($1)))
order by 1, 3, 2

-- name: runs
-- params: person
-- Runs about a person, and those that they started about nobody; locked, in the order of their ids.
select r.id, r.seq, r.head, r.last_at, r.state, r.subject, r.finished_at,
       r.payload_expired_at is not null as is_empty
from newel.run r join newel.line_of($1) as l (id) on l.id = r.id order by r.id for update of r

-- name: person
-- params: person
-- Leaves a reference without a name.
update newel.person set display_name = 'Erased person', work_email = null, hr_key = null,
       manager = null, search_grams = '{}', key_state = 'erased', updated_at = clock_timestamp()
where ref = $1

-- name: keys
-- params: person
-- Destroys the person's keys: what is sealed under them can be read by nobody.
update newel.person_key set wrapped = null, destroyed_at = clock_timestamp()
where person = $1 and wrapped is not null returning n

-- name: tasks
-- params: runs
-- Takes away the texts of tasks; who decided what, and when, stays.
update newel.task set title = key, instructions = null, form = null
where run_id = any($1) returning id

-- name: grants
-- params: person
-- Takes away what an account was called, and what was noted of access that has ended.
update newel.access_grant set account_id = null, evidence = null
where person = $1 and (account_id is not null or evidence is not null) returning id

-- name: messages
-- params: runs
-- Empties messages that these runs took, or that were meant for them.
update newel.inbox set payload = ''::bytea, match = null
where taken_by = any($1) or to_run = any($1) returning id

-- name: deliveries
-- params: runs
-- Empties deliveries of other systems that started these runs.
update newel.webhook_received set body = null
where runs && $1::uuid[] and body is not null returning id

-- name: requests
-- params: runs
-- Forgets how requests for these runs were called.
update newel.start_request set key = 'erased/' || run_id where run_id = any($1) returning run_id

-- name: records
-- params: runs, hr_key
-- Forgets what HR has said of an employment.
update newel.hr_record
set employee = 'erased/' || gen_random_uuid(), position = null, name = null, look_at = null
where onboarding = any($1) or offboarding = any($1) or employee = $2 returning feed

-- name: hr_key
-- params: person
-- The employee number of a person.
select hr_key from newel.person where ref = $1

-- name: set_hold
-- params: event_id, person, run
-- Puts a person or a run under legal hold; without a row where they are.
insert into newel.legal_hold (event_id, person, run_id, set_at) values ($1, $2, $3, newel.now())
on conflict do nothing returning event_id

-- name: release_hold
-- params: person, run
-- Ends a legal hold; without a row where there is none.
update newel.legal_hold set released_at = newel.now()
where released_at is null and (person = $1 or run_id = $2) returning event_id

-- name: lock_run
-- params: run
-- The subject of a run, which is locked.
select subject from newel.run where id = $1 for update

-- name: lock_past
-- params: whom
-- Runs about a person, or a run, that have ended, and those that they started about nobody; locked.
select r.id from newel.run r join newel.line_of($1) as l (id) on l.id = r.id
where r.finished_at is not null order by r.id for update of r
