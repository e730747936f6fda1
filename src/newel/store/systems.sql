-- Systems as their page shows them: what holds them up, who waits, who has access.

-- name: incidents
-- params: systems
-- The incidents of some systems that are not closed, the latest ticket of each, and how many steps
-- each holds up.
select i.id, i.system, i.class, i.title, i.state, i.operation, i.opened_at, i.escalated_at,
       i.healed_at, i.probe_at, i.last_error, t.external_key as ticket, t.url as ticket_url,
       (select count(*) from newel.open_act a where a.incident_id = i.id) as held_up
from newel.incident i
left join lateral (
    select external_key, url from newel.ticket where incident_id = i.id
    order by recorded_at desc limit 1) t on true
where i.system = any($1) and i.state <> 'closed' order by i.opened_at

-- name: counts
-- params: systems
-- How many open runs of each system are being tried again or parked there, and how many people have
-- access to it.
select k.system,
       (select count(distinct a.run_id) from newel.open_act a
        where a.system = k.system and a.state in ('retrying', 'parked')) as waiting,
       (select count(distinct g.person) from newel.access_grant g
        where g.system = k.system and g.state = 'active') as people
from unnest($1::text[]) as k (system)

-- name: blocked
-- params: credentials
-- Credentials that a system has asked to be used less often, and until when.
select credential, max(blocked_until) as until from newel.gate
where credential = any($1) and blocked_until > newel.now() group by credential

-- name: waiting_runs
-- params: system, how_many
-- Runs that are tried again or parked at a system, those that need a person first.
select a.run_id, min(a.opened_at) as since, bool_or(a.state = 'parked') as is_parked,
       min(a.next_at) as next_at, r.process, d.title, r.subject, p.display_name
from newel.open_act a
join newel.run r on r.id = a.run_id
left join newel.definition d on (d.process, d.version) = (r.process, r.version)
left join newel.person p on p.ref = r.subject
where a.system = $1 and a.state in ('retrying', 'parked')
group by a.run_id, r.process, d.title, r.subject, p.display_name
order by bool_or(a.state = 'parked') desc, min(a.opened_at), a.run_id limit $2

-- name: levels
-- params: credentials
-- What was left in the buckets of some credentials when one was last taken from, and when that was;
-- with the database's time.
select credential, bucket, tokens, filled_at, blocked_until, newel.now() as as_of
from newel.gate where credential = any($1) order by credential, bucket
