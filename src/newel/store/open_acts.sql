-- Open acts with what people need to know of them. The rows are written by changes.sql alone.

-- name: of_runs
-- params: runs
-- What is open of each run, with its system, task, assignee, incident and first ticket.
select a.run_id, a.key, a.kind, a.state, a.attempt, a.next_at, a.due_at, a.opened_at,
       a.intended_at, a.system, a.reason, a.owner, a.task_id, a.match, a.detail,
       y.title as system_title,
       t.title as task_title, t.owner as task_owner, t.due_at as task_due_at,
       t.assignee, p.display_name as assignee_name,
       i.id as incident_id, i.class as incident_class, i.state as incident_state,
       i.title as incident_title, i.opened_at as incident_opened_at, i.probe_at,
       k.external_key as ticket, k.url as ticket_url
from newel.open_act a
left join newel.system y on y.key = a.system
left join newel.task t on t.id = a.task_id
left join newel.person p on p.ref = t.assignee
left join newel.incident i on i.id = a.incident_id
left join lateral (
    select external_key, url from newel.ticket
    where incident_id = a.incident_id order by recorded_at limit 1) k on true
where a.run_id = any($1)
order by a.run_id, a.opened_at, a.key

-- name: awaited
-- params: event
-- What open waits for an event are correlated by.
select match from newel.open_act where kind = 'event' and event = $1 and match is not null
order by match
