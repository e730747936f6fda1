-- Incidents: what is open, whose turn the probe is, who is held up. Opening and escalating ride
-- in the Change of the step that caused them (changes.sql).

-- name: open_by_fingerprint
-- params: fingerprints
-- The open incident of a cause; where one operation alone is known to fail, that one is meant.
select id, fingerprint, system, credential, scope, class, title, state, lead_run, lead_key,
       operation, is_urgent, opened_at, escalated_at, healed_at, healed_by, closed_at, probe_at,
       probe_misses, flaps, last_error, run_id, told, told_at
from newel.incident
where fingerprint = any($1) and state in ('watching', 'escalated', 'healing')
order by length(fingerprint) desc limit 1

-- name: open_incidents
-- params: none
-- All incidents that are not closed, with the database's time.
select id, fingerprint, system, credential, scope, class, title, state, lead_run, lead_key,
       operation, is_urgent, opened_at, escalated_at, healed_at, healed_by, closed_at, probe_at,
       probe_misses, flaps, last_error, run_id, told, told_at, newel.now() as as_of
from newel.incident where state <> 'closed' order by opened_at

-- name: locked
-- params: incident
-- One incident that is not closed, under its row lock.
select id, system, state, lead_run, lead_key, run_id, opened_at, healed_by, newel.now() as as_of
from newel.incident where id = $1 and state <> 'closed' for update

-- name: take_due_probes
-- params: pause, urgent_pause
-- Takes the probes that are due: nobody else makes them before the pause is over. A system that an
-- operator has paused is not asked.
update newel.incident i
set probe_at = newel.now() + case when i.is_urgent then $2::interval else $1::interval end
from (select id from newel.incident
      where state in ('watching', 'escalated') and probe_at <= newel.now()
        and not exists (select from newel.room r
                        where r.name = 'system/' || system and r.paused_at is not null)
      order by probe_at limit 20 for update skip locked) due
where i.id = due.id
returning i.id, i.fingerprint, i.system, i.credential, i.scope, i.state, i.lead_run, i.lead_key,
          i.operation, i.is_urgent, i.opened_at, i.escalated_at, i.probe_misses, i.flaps,
          newel.now() as as_of

-- name: missed
-- params: incident, gap, error
-- The system does not answer: the circuit is open, the next probe comes after the gap.
update newel.incident
set scope = 'system', probe_at = newel.now() + $2, probe_misses = probe_misses + 1,
    last_error = $3
where id = $1 and state in ('watching', 'escalated')

-- name: narrowed
-- params: incident, gap
-- The system answers although steps fail: the fault lies in one operation of it.
update newel.incident i
set fingerprint = case when i.operation is null or exists (
        select 1 from newel.incident o
        where o.fingerprint = i.fingerprint || ':' || i.operation
          and o.state in ('watching', 'escalated', 'healing'))
    then i.fingerprint else i.fingerprint || ':' || i.operation end,
    probe_at = newel.now() + $2
where i.id = $1 and i.state in ('watching', 'escalated') and i.scope = 'operation'

-- name: later
-- params: incident, gap
-- Looks again after the gap.
update newel.incident set probe_at = newel.now() + $2
where id = $1 and state in ('watching', 'escalated')

-- name: looked_at_once
-- params: incident
-- The credential has changed: whether it works now is asked at once.
update newel.incident set probe_at = newel.now()
where id = $1 and state in ('watching', 'escalated') and probe_at > newel.now()

-- name: hurried
-- params: incident
-- A step that cuts access waits, too: the probe comes more often.
update newel.incident
set is_urgent = true, probe_at = least(probe_at, newel.now() + interval '15 seconds')
where id = $1 and not is_urgent

-- name: healing
-- params: incident, lead_run, lead_key
-- The probe answered; the lead step goes first.
update newel.incident set state = 'healing', lead_run = $2, lead_key = $3, probe_at = null
where id = $1 and state in ('watching', 'escalated')

-- name: flapped
-- params: incident, gap, error
-- The lead step has failed again: it was no end.
update newel.incident
set probe_at = newel.now() + $2, flaps = flaps + 1, last_error = $3,
    state = case when escalated_at is null then 'watching' else 'escalated' end
where id = $1 and state = 'healing'

-- name: healed
-- params: incident, healed_by
-- The lead step succeeded: the circuit is closed for all.
update newel.incident
set state = 'healed', healed_at = newel.now(), healed_by = $2, probe_at = null
where id = $1 and state in ('watching', 'escalated', 'healing')

-- name: relapsed
-- params: incident, gap, error
-- Steps fail again before all have gone on: it is the same incident still.
update newel.incident i
set state = case when escalated_at is null then 'watching' else 'escalated' end,
    healed_at = null, healed_by = null, probe_at = newel.now() + $2, flaps = flaps + 1,
    last_error = $3
where id = $1 and state = 'healed'
  and not exists (select 1 from newel.incident o where o.fingerprint = i.fingerprint
                  and o.state in ('watching', 'escalated', 'healing'))

-- name: new_lead
-- params: incident, lead_run, lead_key
-- The lead step has left without success; another leads.
update newel.incident
set lead_run = $2, lead_key = $3, probe_at = newel.now(),
    state = case when escalated_at is null then 'watching' else 'escalated' end
where id = $1 and state in ('watching', 'escalated', 'healing')

-- name: closed
-- params: incident, healed_by
-- Nobody is held up any more.
update newel.incident
set state = 'closed', closed_at = newel.now(), healed_at = coalesce(healed_at, newel.now()),
    healed_by = $2, probe_at = null
where id = $1

-- name: members
-- params: incident
-- The open steps that an incident holds up, in the order in which they go on.
select a.run_id, a.key, a.state, a.next_at, a.detail, r.subject, r.state as run_state, r.paused_at
from newel.open_act a join newel.run r on r.id = a.run_id
where a.incident_id = $1 order by r.priority, a.opened_at, a.run_id

-- name: urgent_over
-- params: event
-- Runs that wait to hear that a step is no longer open, and may be told so now.
select a.run_id, a.match
from newel.open_act a
where a.kind = 'event' and a.event = $1
  and not exists (select from newel.open_act s
                  where s.run_id = left(a.match, 36)::uuid and s.key = substr(a.match, 38))
order by a.run_id

-- name: urgent_by_hand
-- params: none
-- Urgent steps that only a person can do, and that nobody has done yet.
select run_id, key, system, credential, opened_at
from newel.open_act
where state = 'retrying' and task_id is not null and reason = 'by-hand'
  and (detail ->> 'is_urgent')::boolean
order by run_id, key

-- name: stranded
-- params: none
-- Steps that joined an incident in the moment in which it ended: nobody else would wake them.
select a.run_id, a.key
from newel.open_act a join newel.incident i on i.id = a.incident_id
where a.incident_id is not null and i.state = 'closed' and a.state in ('retrying', 'parked')
limit 100

-- name: last_outcome
-- params: run, key
-- How a step ended: the type of its last outcome; null if it has none.
select type from newel.event
where stream_id = $1 and key = $2
  and type in ('step.succeeded', 'step.failed', 'step.skipped', 'step.completed_by_hand',
               'step.cancelled')
order by seq desc limit 1

-- name: last_retried_by
-- params: run, key
-- Who asked last that a step be tried again; null if nobody has.
select convert_from(entry, 'UTF8')::jsonb -> 'data' ->> 'by' from newel.event
where stream_id = $1 and key = $2 and type = 'step.retried' order by seq desc limit 1

-- name: attached
-- params: incident, stream
-- How many steps an incident has held up, itself included.
select count(*) from newel.event e join newel.audit_stream s on s.id = e.stream_id
where s.name = $2 and e.type in ('incident.opened', 'incident.attached')
  and convert_from(e.entry, 'UTF8')::jsonb -> 'data' ->> 'incident' = $1

-- name: changed_since
-- params: run, subject, moment
-- Whether somebody has changed a run's input, or whom it is about, after a moment.
select exists (select 1 from newel.event where stream_id = $1 and occurred_at > $3
               and type in ('run.amended', 'run.rescheduled'))
    or exists (select 1 from newel.person where ref = $2 and updated_at > $3)

-- name: told
-- params: incident, told
-- The ticket's run knows of everybody who waits.
update newel.incident set told = $2, told_at = newel.now() where id = $1

-- name: busy
-- params: credentials
-- Which of these credentials have an open incident of their own.
select distinct credential from newel.incident
where credential = any($1) and state in ('watching', 'escalated', 'healing')

-- name: ticket_before
-- params: fingerprint, moment
-- The tracker's ticket of the same cause that was closed last, if not before the moment.
select t.channel, t.external_key, t.url
from newel.incident i join newel.ticket t on t.incident_id = i.id
where i.fingerprint = $1 and i.state = 'closed' and i.closed_at > $2 and t.channel <> 'inbox'
order by i.closed_at desc, t.recorded_at limit 1
