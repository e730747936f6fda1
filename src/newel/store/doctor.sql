-- What `newel doctor` asks the server and the deployment.

-- name: server
-- params: none
-- The server: its version, what a commit promises, who we are, and what it is busy with.
select current_setting('server_version_num')::integer as version,
       current_setting('server_version') as version_text,
       current_setting('fsync') = 'on' as is_synced,
       current_setting('full_page_writes') = 'on' as writes_full_pages,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('max_connections')::integer as max_connections,
       current_setting('autovacuum') = 'on' as is_vacuumed,
       pg_backend_pid() as backend,
       pg_is_in_recovery() as is_standby,
       clock_timestamp() as as_of,
       (select rolsuper from pg_catalog.pg_roles where rolname = current_user) as is_superuser,
       has_schema_privilege('public', 'newel', 'usage') as is_public,
       (select count(*) from pg_catalog.pg_stat_activity
        where datname = current_database()) as connections

-- name: deployment
-- params: none
-- What this database is for, and how far its clock was moved.
select kind, clock_offset, frozen_at from newel.deployment

-- name: capabilities
-- params: none
-- What is declared of a plan or token, and was not there when it was looked at last.
select system, name, checked_at, proved_at
from newel.capability where proved_at is null or proved_at < checked_at order by system, name

-- name: indexes
-- params: none
-- The indexes there are, and whether they can be used.
select c.relname as name, i.indisvalid and i.indisready as is_valid
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'newel'

-- name: guards
-- params: none
-- Triggers that keep the journal as it is, and do not fire always.
select t.tgname as name, c.relname as relation
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'newel' and not t.tgisinternal and t.tgenabled <> 'A'
  and t.tgname in ('event_is_append_only', 'event_is_never_truncated', 'event_enqueue',
                   'run_state_needs_event', 'audit_leaf_is_append_only',
                   'audit_tile_is_append_only', 'audit_checkpoint_is_append_only',
                   'audit_anchor_is_append_only', 'audit_head_is_never_removed',
                   'audit_head_only_grows')

-- name: guards_there
-- params: none
-- The names of the guards that exist.
select distinct t.tgname as name
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'newel'

-- name: bloated
-- params: least
-- Tables with more dead rows than living ones, among those with a good many.
select relname as name, n_live_tup as living, n_dead_tup as dead, last_autovacuum
from pg_catalog.pg_stat_user_tables
where schemaname = 'newel' and n_dead_tup >= $1 and n_dead_tup > 2 * n_live_tup

-- name: grants
-- params: none
-- Tables that everybody on the server may read or change.
select c.relname as name, string_agg(x.privilege_type, ', ' order by x.privilege_type) as what
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) x
where n.nspname = 'newel' and x.grantee = 0 group by c.relname order by c.relname

-- name: workers
-- params: none
-- Workers whose lease holds, with the versions of their code.
select id, host, version, definitions, lease_until
from newel.worker where lease_until > clock_timestamp() and stopped_at is null order by id

-- name: late
-- params: patience
-- Runs that are due longer than patience allows and that nobody has taken, by process; those of
-- a full room wait for their turn.
select r.process, count(*) as how_many, min(r.wake_at) as since
from newel.run r
left join newel.room m on m.name = r.room
where r.worker_id is null and r.wake_at < newel.now() - $1::interval
  and (m.at_most is null
       or m.at_most > (select count(*) from newel.run a
                       where a.room = m.name and a.worker_id is not null))
group by r.process order by r.process

-- name: open_processes
-- params: none
-- How many runs of each process are open.
select process, count(*) as how_many from newel.run where finished_at is null
group by process order by process

-- name: late_schedules
-- params: patience
-- Schedules whose moment has passed longer ago than patience allows.
select name, process, next_at from newel.schedule
where paused_at is null and retired_at is null and next_at < newel.now() - $1::interval
order by name

-- name: refused_occurrences
-- params: since
-- Planned moments since then for which nothing could be started.
select schedule, count(*) as how_many, max(refused) as refused
from newel.occurrence where refused is not null and decided_at >= $1
group by schedule order by schedule

-- name: webhook_endpoints
-- params: patience
-- Endpoints that are told of events and have accepted nothing for longer than patience allows, or
-- that are disabled; and those for which something was given up.
select e.name, e.disabled_at, e.disabled_for, e.failing_since, d.dead
from newel.webhook_endpoint e
cross join lateral (
    select count(*) as dead from newel.webhook_delivery
    where endpoint = e.name and state = 'dead') d
where e.retired_at is null
  and (e.disabled_at is not null or e.failing_since < newel.now() - $1::interval or d.dead > 0)
order by e.name

-- name: late_anchors
-- params: patience
-- Places outside that lack a head which was signed longer ago than patience allows.
select a.target, max(a.created_at) as at
from newel.audit_anchor a
where a.log_epoch = (select max(log_epoch) from newel.audit_head)
group by a.target
having exists (
    select from newel.audit_checkpoint c
    where c.log_epoch = max(a.log_epoch) and c.size > max(a.size)
      and c.created_at < clock_timestamp() - $1::interval)
order by a.target

-- name: unsealed
-- params: patience
-- How many batches have waited for a place in the log for longer than patience allows.
select count(*) as how_many, min(recorded_at) as since from newel.event_batch
where recorded_at < clock_timestamp() - $1::interval
having count(*) > 0
