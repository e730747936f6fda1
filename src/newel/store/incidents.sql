-- Incidents: what is open, whose turn the probe is, who is held up. Opening and escalating ride
-- in the Change of the step that caused them (changes.sql).

-- name: open_by_fingerprint
-- params: fingerprint
-- The open incident of a cause.
select id, fingerprint, system, credential, scope, class, title, state, lead_run, lead_key,
       opened_at, escalated_at, healed_at, closed_at, probe_at, probe_misses, last_error, run_id
from newel.incident where fingerprint = $1 and state in ('watching', 'escalated', 'healing')

-- name: open_incidents
-- params: none
-- All incidents that are not closed, with the database's time.
select id, fingerprint, system, credential, scope, class, title, state, lead_run, lead_key,
       opened_at, escalated_at, healed_at, probe_at, probe_misses, last_error, run_id,
       newel.now() as as_of
from newel.incident where state <> 'closed' order by opened_at

-- name: locked
-- params: incident
-- One incident that is not closed, under its row lock.
select id, system, state, lead_run, run_id, opened_at, newel.now() as as_of
from newel.incident where id = $1 and state <> 'closed' for update

-- name: take_due_probes
-- params: pause
-- Takes the probes that are due: nobody else makes them before the pause is over.
update newel.incident i set probe_at = newel.now() + $1
from (select id from newel.incident
      where state in ('watching', 'escalated') and probe_at <= newel.now()
      order by probe_at limit 20 for update skip locked) due
where i.id = due.id
returning i.id, i.fingerprint, i.system, i.credential, i.scope, i.state, i.lead_run, i.lead_key,
          i.escalated_at, i.probe_misses, newel.now() as as_of

-- name: missed
-- params: incident, gap, error
-- The system does not answer: the circuit is open, the next probe comes after the gap.
update newel.incident
set scope = 'system', probe_at = newel.now() + $2, probe_misses = probe_misses + 1,
    last_error = $3,
    state = case when escalated_at is null then 'watching' else 'escalated' end
where id = $1 and state in ('watching', 'escalated', 'healing')

-- name: healing
-- params: incident, lead_run, lead_key
-- The probe answered; the lead step goes first.
update newel.incident set state = 'healing', lead_run = $2, lead_key = $3, probe_at = null
where id = $1 and state in ('watching', 'escalated')

-- name: healed
-- params: incident
-- The lead step succeeded: the circuit is closed for all.
update newel.incident set state = 'healed', healed_at = newel.now(), probe_at = null
where id = $1 and state in ('watching', 'escalated', 'healing')

-- name: new_lead
-- params: incident, lead_run, lead_key
-- The lead step has left without success; another leads.
update newel.incident
set lead_run = $2, lead_key = $3, probe_at = newel.now(),
    state = case when escalated_at is null then 'watching' else 'escalated' end
where id = $1 and state in ('watching', 'escalated', 'healing')

-- name: closed
-- params: incident
-- Nobody is held up any more.
update newel.incident
set state = 'closed', closed_at = newel.now(), healed_at = coalesce(healed_at, newel.now()),
    probe_at = null
where id = $1

-- name: members
-- params: incident
-- The open steps that an incident holds up, oldest first.
select a.run_id, a.key, a.state, a.next_at, a.detail
from newel.open_act a where a.incident_id = $1 order by a.opened_at, a.run_id

-- name: lead_succeeded
-- params: run, key
-- Whether the last outcome of a step is a success of its code.
select coalesce((select type = 'step.succeeded' from newel.event
                 where stream_id = $1 and key = $2
                   and type in ('step.succeeded', 'step.failed', 'step.skipped',
                                'step.completed_by_hand', 'step.cancelled')
                 order by seq desc limit 1), false)

-- name: attached
-- params: incident, stream
-- How many steps an incident has held up, itself included.
select count(*) from newel.event e join newel.audit_stream s on s.id = e.stream_id
where s.name = $2 and e.type in ('incident.opened', 'incident.attached')
  and convert_from(e.entry, 'UTF8')::jsonb -> 'data' ->> 'incident' = $1
