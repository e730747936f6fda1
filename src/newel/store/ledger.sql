-- The ledger: reading grants. The rows are written by changes.sql alone.

-- name: of_person
-- params: person
-- Grants of a person with their system, their entitlement and the events that made and ended them;
-- the intervals of one entitlement in their order.
select g.id, g.system, g.entitlement, g.level, g.account_id, g.state, g.valid_from, g.valid_to,
       g.verified_at, g.route, g.evidence, g.reason_kind, g.made_run, g.made_key, g.made_seq,
       g.ended_run, g.ended_seq, g.removed_at, g.since_unknown, g.continues, g.recorded_at,
       y.title as system_title, n.title as entitlement_title,
       e.entry as made_entry, sha256('\x00'::bytea || e.entry) as made_leaf,
       x.entry as ended_entry, sha256('\x00'::bytea || x.entry) as ended_leaf
from newel.access_grant g
left join newel.system y on y.key = g.system
left join newel.entitlement n on n.key = g.entitlement
left join newel.event e on e.stream_id = g.made_run and e.seq = g.made_seq
left join newel.event x on x.stream_id = g.ended_run and x.seq = g.ended_seq
where g.person = $1
order by g.system, (g.entitlement like '%:account') desc, g.entitlement, g.recorded_at,
         g.state not in ('suspended', 'revoked')

-- name: had_between
-- params: begin, until, person, system, entitlement, after, how_many
-- Access that people had in a span of time, by entitlement, with the event that gave it: beside the
-- outcome that made the grant, or, where another one switched it on, in any run about the person.
-- What has an end and no known beginning may have been there all the time before.
select g.id, g.person, p.display_name, g.system, g.entitlement, g.level, g.valid_from, g.valid_to,
       g.since_unknown, g.route, coalesce(
           (select e.entry from newel.event e
            where e.stream_id = g.made_run and e.seq between g.made_seq and g.made_seq + 40
              and e.type in ('access.granted', 'access.modified')
              and convert_from(e.entry, 'UTF8')::jsonb -> 'data' @> jsonb_build_object(
                  'entitlement', g.entitlement, 'effective_at', to_char(
                      g.valid_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) limit 1),
           (select e.entry from newel.run r join newel.event e on e.stream_id = r.id
            where r.subject = g.person and e.type in ('access.granted', 'access.modified')
              and convert_from(e.entry, 'UTF8')::jsonb -> 'data' @> jsonb_build_object(
                  'entitlement', g.entitlement, 'effective_at', to_char(
                      g.valid_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) limit 1)) as entry
from newel.access_grant g
left join newel.person p on p.ref = g.person
where (g.valid_from < $2 or (g.valid_from is null and g.since_unknown))
  and (g.valid_to is null or g.valid_to > $1)
  and ($3::uuid is null or g.person = $3) and ($4::text is null or g.system = $4)
  and ($5::text is null or g.entitlement = $5)
  and ($6::uuid is null or (g.entitlement, g.id) > (
      select a.entitlement, a.id from newel.access_grant a where a.id = $6))
order by g.entitlement, g.id limit $7

-- name: held
-- params: person, entitlement
-- The grant that a person has of an entitlement: open, or suspended and not given back since.
select g.id, g.state, g.level, g.valid_from
from newel.access_grant g
where g.person = $1 and g.entitlement = $2
  and g.state in ('planned', 'approved', 'prepared', 'active', 'suspended')
  and not exists (select from newel.access_grant c where c.continues = g.id)
order by g.state = 'suspended', g.recorded_at desc, g.id limit 1

-- name: came_with
-- params: grant
-- What the outcome that made a grant gave beside it, and that is open, or suspended and not given
-- back since.
select w.entitlement, w.id, w.state, w.level, w.valid_from
from newel.access_grant g
join newel.access_grant w
    on w.made_run = g.made_run and w.made_seq = g.made_seq and w.person = g.person and w.id <> g.id
where g.id = $1 and w.state in ('prepared', 'active', 'suspended')
  and not exists (select from newel.access_grant c where c.continues = w.id)
order by w.entitlement

-- name: holder
-- params: entitlement, account_id, person
-- Who is known to have an account, by the latest grant of it; a person who was invited has the one
-- of which no id is known yet.
select person from newel.access_grant
where entitlement = $1 and (account_id = $2
    or (person = $3 and account_id is null and state in ('prepared', 'active')))
order by account_id is null, recorded_at desc, id limit 1

-- name: ended_since
-- params: person, run, moment
-- Whether another run has ended access of a person after a moment, and it was not given back.
select exists (
    select from newel.access_grant g
    where g.person = $1 and g.valid_to > $3 and g.ended_run <> $2
      and not exists (select from newel.access_grant c where c.continues = g.id))

-- name: left
-- params: none
-- Access that runs gave which were cancelled in the last month, and that stands; not of people who
-- were erased, nor what came with an account, and goes with it.
select r.id as run, g.id, g.system, g.entitlement, g.made_key, g.person,
       p.display_name, p.work_email
from newel.run r
join newel.access_grant g on g.made_run = r.id and g.state in ('prepared', 'active')
join newel.person p on p.ref = g.person and p.key_state = 'live'
where r.state = 'cancelled' and r.finished_at > newel.now() - interval '30 days'
  and not exists (
      select from newel.access_grant b
      where b.made_run = g.made_run and b.made_seq = g.made_seq and b.id <> g.id
        and b.entitlement = g.system || ':account' and b.state in ('prepared', 'active'))
order by r.id, g.id

-- name: ended_of_awaited
-- params: event
-- Grants whose end is awaited, and that give access no more.
select a.match from newel.open_act a
join newel.access_grant g on g.id = a.match::uuid
where a.kind = 'event' and a.event = $1 and g.state not in ('prepared', 'active')
order by a.match

-- name: ended_between
-- params: begin, until, system, cause
-- Access that ended in a span of time, run by run and system by system: when it was due first and
-- ended last, with the event of that. What only changed its level has not ended.
select g.person, p.display_name, g.system, g.ended_run, r.process, count(*) as many,
       min((e.data ->> 'due_at')::timestamptz) as due_at, max(g.valid_to) as ended_at,
       (array_agg(e.entry order by g.valid_to desc, g.id))[1] as entry
from newel.access_grant g
cross join lateral (
    select v.entry, convert_from(v.entry, 'UTF8')::jsonb -> 'data' as data from newel.event v
    where v.stream_id = g.ended_run and v.seq between g.ended_seq and g.ended_seq + 40
      and v.type = 'access.revoked'
      and convert_from(v.entry, 'UTF8')::jsonb -> 'data' ->> 'entitlement' = g.entitlement
    order by v.seq limit 1) e
join newel.run r on r.id = g.ended_run
left join newel.person p on p.ref = g.person
where g.valid_to >= $1 and g.valid_to < $2
  and ($3::text is null or g.system = $3) and ($4::text is null or e.data ->> 'cause' = $4)
group by g.person, p.display_name, g.system, g.ended_run, r.process
order by max(g.valid_to) - min((e.data ->> 'due_at')::timestamptz) desc, g.ended_run, g.system
