-- Erasing a person: what is about them is emptied, what proves something stays.

-- name: person
-- params: person
-- A person who may be erased, locked.
select ref, hr_key, key_state from newel.person where ref = $1 for update

-- name: in_the_way
-- params: person
-- What is still going on about a person: open runs, and access that is held or planned.
select (select count(*) from newel.run where subject = $1 and finished_at is null) as runs,
       (select count(*) from newel.access_grant
        where person = $1 and state in ('planned', 'approved', 'prepared', 'active')) as grants

-- name: runs
-- params: person
-- The runs about a person, locked.
select id, seq, head, last_at, state, subject, payload_expired_at from newel.run
where subject = $1 order by id for update

-- name: forget_person
-- params: person
-- Empties a person's row; the reference stays, so that grants and events keep theirs.
update newel.person
set hr_key = null, display_name = '', work_email = null, manager = null, search_grams = '{}',
    key_state = 'erased', updated_at = clock_timestamp()
where ref = $1

-- name: forget_tasks
-- params: runs
-- Empties what people were asked in a person's runs.
update newel.task set title = '', instructions = null where run_id = any($1)

-- name: forget_messages
-- params: runs
-- Empties the messages that a person's runs have taken.
update newel.inbox set payload = ''::bytea where taken_by = any($1) or to_run = any($1)

-- name: forget_deliveries
-- params: runs
-- Empties the deliveries from outside that a person's runs were made from.
update newel.webhook_received set body = null where runs && $1::uuid[] and body is not null

-- name: forget_employment
-- params: number
-- Empties what HR has said of a person; that the number was seen stays, so that it is not new.
update newel.hr_record set position = null, name = null where employee = $1

-- name: forget_secrets
-- params: person
-- Ends what a person was to be shown once.
update newel.received_secret set state = 'expired', sealed = null, ended_at = newel.now()
where person = $1 and state = 'waiting'

-- name: destroy_keys
-- params: person
-- Destroys a person's keys: what is sealed with them can be read by nobody any more.
update newel.person_key set wrapped = null, destroyed_at = newel.now()
where person = $1 and wrapped is not null
