-- People: reading and finding them. The rows are written by changes.sql alone.

-- name: read
-- params: person
-- One person with the manager's name.
select p.ref, p.hr_key, p.display_name, p.work_email, p.manager, p.key_state,
       m.display_name as manager_name, newel.now() as as_of
from newel.person p
left join newel.person m on m.ref = p.manager
where p.ref = $1

-- name: listed
-- params: refs, after, how_many
-- People by name, with their newest run and how many systems they hold access in.
select p.ref, p.hr_key, p.display_name, p.work_email, p.manager, m.display_name as manager_name,
       r.id as run_id, r.process, r.started_at, s.standing, d.title,
       (select count(distinct g.system) from newel.access_grant g
        where g.person = p.ref and g.state = 'active') as systems
from newel.person p
left join newel.person m on m.ref = p.manager
left join lateral (
    select id, process, version, started_at from newel.run
    where subject = p.ref order by finished_at is null desc, started_at desc limit 1) r on true
left join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where (p.ref = any($1) or ($1::uuid[] is null and p.key_state = 'live')) and p.display_name > $2
order by p.display_name, p.ref limit $3

-- name: fitting
-- params: text, whole, begun, how_many
-- People whose address or number it is; if there is nobody, those who have all its words, then those
-- with all its words as beginnings. Each kind is read up to a bound, in the order in which they lie.
with named as (
    select ref from newel.person where work_email in ($1, lower($1)) or hr_key = $1),
same as materialized (
    select ref from newel.person
    where search_grams @> $2::text[] and not exists (select 1 from named)),
begun as materialized (
    select ref from newel.person
    where search_grams @> $3::text[] and not exists (select 1 from named)),
fit as (
    select ref from named
    union (select ref from same limit $4)
    union (select ref from begun limit $4))
select p.ref, p.display_name, p.work_email, p.hr_key, m.display_name as manager_name
from fit join newel.person p on p.ref = fit.ref
left join newel.person m on m.ref = p.manager

-- name: common
-- params: grams
-- In how many people each of some trigrams stands, by the statistics of the planner; one that is
-- not in them is rare, and before the first analysis none is.
select e.gram, (e.share * greatest(c.reltuples, 0))::float8 as people
from pg_catalog.pg_stats s
join pg_catalog.pg_class c on c.oid = 'newel.person'::regclass,
     unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) as e (gram, share)
where s.schemaname = 'newel' and s.tablename = 'person' and s.attname = 'search_grams'
  and e.gram = any($1::text[])

-- name: similar
-- params: grams, telling, sets, read, of_each, how_many
-- People with a telling trigram, or with all trigrams of a set (written with bars between), those
-- first who share most of what was typed. What is looked at has a bound, of each set too, and is
-- materialized because the bound would tempt the planner to read the table.
with any_of as materialized (
    select ref, search_grams from newel.person where search_grams && $2::text[]),
near as (
    (select ref, search_grams from any_of limit $4)
    union
    select of_set.ref, of_set.search_grams
    from unnest($3::text[]) as wanted (text)
    cross join lateral (
        with all_of as materialized (
            select ref, search_grams from newel.person
            where search_grams @> string_to_array(wanted.text, '|'))
        select ref, search_grams from all_of limit $5) of_set),
nearest as (
    select n.ref, (select count(*) from unnest(n.search_grams) g where g = any($1::text[])) as shared
    from near n order by shared desc, n.ref limit $6)
select p.ref, p.display_name, p.work_email, p.hr_key, m.display_name as manager_name
from nearest join newel.person p on p.ref = nearest.ref
left join newel.person m on m.ref = p.manager

-- name: names
-- params: refs
-- Names by reference.
select ref, display_name from newel.person where ref = any($1)

-- name: runs_of
-- params: person, how_many
-- Runs about a person with their standing, how they began, and what those that are open have done:
-- counting reads all events of a run, and a person may have many that are long over.
select r.id, r.process, r.version, r.state, r.parked_reason, r.parked_with, r.wake_at,
       r.started_at, r.finished_at, r.cancelling, d.title, d.owner, s.standing,
       case when r.finished_at is not null then 0 else
       (select count(distinct split_part(e.key, '#', 1)) from newel.event e
        where e.stream_id = r.id and e.type in ('step.succeeded', 'step.failed', 'step.skipped',
              'step.completed_by_hand', 'task.decided')) end as done,
       (select e.entry from newel.event e where e.stream_id = r.id and e.seq = 1) as first_entry,
       (select e.entry from newel.event e
        where e.stream_id = r.id and e.type in ('run.failed', 'run.cancelled', 'run.completed')
        order by e.seq desc limit 1) as last_entry
from newel.run r
join newel.run_standing s on s.id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where r.subject = $1 and r.process not like 'newel.%'
order by r.finished_at is null desc, r.started_at desc limit $2

-- name: skipped
-- params: run
-- How many steps of a run were skipped.
select count(*) from newel.event where stream_id = $1 and type = 'step.skipped'

-- name: latest
-- params: person, how_many
-- The latest events of all runs about a person, attempts left out.
select e.stream_id, e.seq, e.type, e.key, e.occurred_at, e.entry, r.process, d.title
from newel.run r
join newel.event e on e.stream_id = r.id
left join newel.definition d on d.process = r.process and d.version = r.version
where r.subject = $1 and r.process not like 'newel.%'
  and e.type not in ('step.started', 'step.attempt_failed', 'step.looked', 'wait.opened',
                     'run.taken_over',
                     'access.requested', 'access.approved', 'access.pending', 'access.granted',
                     'access.verified')
order by e.occurred_at desc, e.seq desc limit $2
