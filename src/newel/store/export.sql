-- A deployment as lines of JSON. Every table has a block `table_<name>` that opens a cursor over
-- its rows as text, ordered by what identifies them, so that the same state is the same bytes.
-- The rows are read at one moment (`snapshot`) and never held as a whole, here or on the server.
-- Keys of persons, hashes of API keys and whatever else opens something is not among the columns.

-- name: snapshot
-- params: none
-- One moment for all tables, which nothing here can change.
set transaction isolation level repeatable read, read only

-- name: manner
-- params: none
-- How values are written, whatever the session says; and the moment.
select newel.now() as as_of,
       set_config('TimeZone', 'UTC', true), set_config('bytea_output', 'hex', true),
       set_config('IntervalStyle', 'iso_8601', true), set_config('extra_float_digits', '1', true)

-- name: more
-- params: none
-- The next rows of the open cursor.
fetch forward 64 in exported

-- name: one_more
-- params: none
-- The next row of the open cursor, where a row may be large.
fetch forward 1 in exported

-- name: close
-- params: none
-- Ends the open cursor.
close exported

-- name: identity
-- params: none
-- Which deployment this is, and the migrations that its tables have been through.
select d.id, d.kind, (select array_agg(m.name order by m.number) from newel.migration m) as migrations
from newel.deployment d

-- name: wrapped
-- params: person, n
-- A key of a person, wrapped; nothing once it was destroyed.
select wrapped from newel.person_key where person = $1 and n = $2

-- name: table_access_grant
-- params: none
-- Who holds what.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.access_grant r order by r.id

-- name: table_api_key
-- params: none
-- Keys of the API, without what they are compared with.
declare exported no scroll cursor for
select row_to_json(r)::text as line
from (select id, name, created_at, expires_at, last_used_at, revoked_at from newel.api_key) r
order by r.id

-- name: table_audit_anchor
-- params: none
-- Receipts of places that keep signed heads.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_anchor r order by r.log_epoch, r.size, r.target

-- name: table_audit_checkpoint
-- params: none
-- The signed heads of the log.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_checkpoint r order by r.log_epoch, r.size

-- name: table_audit_head
-- params: none
-- The log epochs: name, size and right edge of each tree.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_head r order by r.log_epoch

-- name: table_audit_leaf
-- params: none
-- The place of each event in its tree.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_leaf r order by r.log_epoch, r.leaf_index

-- name: table_audit_stream
-- params: none
-- The heads of streams that are no run.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_stream r order by r.name

-- name: table_capability
-- params: none
-- What checks have found of credentials.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.capability r order by r.credential, r.name

-- name: table_definition
-- params: none
-- Versions of processes that ever ran, with their source.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.definition r order by r.process, r.version

-- name: table_audit_tile
-- params: none
-- The roots of the full tiles.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.audit_tile r order by r.log_epoch, r.level, r.n

-- name: table_confirmation
-- params: none
-- What waits, or has waited, for a second person.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.confirmation r order by r.event_id

-- name: table_deployment
-- params: none
-- What the database is.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.deployment r order by r.id

-- name: table_entitlement
-- params: none
-- What can be held.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.entitlement r order by r.key

-- name: table_erasure
-- params: none
-- Orders to erase a person.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.erasure r order by r.person

-- name: table_legal_hold
-- params: none
-- Who is or was under legal hold.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.legal_hold r order by r.event_id

-- name: table_event
-- params: none
-- The journal and audit log: the leaf exactly as it is hashed, the payload as it is stored.
declare exported no scroll cursor for
select row_to_json(r)::text as line
from (select stream_id, seq, type, key, occurred_at, convert_from(entry, 'UTF8')::json as leaf,
             replace(encode(payload, 'base64'), E'\n', '') as payload
      from newel.event) r
order by r.stream_id, r.seq

-- name: table_event_batch
-- params: none
-- Batches of the journal that are not yet in the log's tree.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.event_batch r order by r.id

-- name: table_gate
-- params: none
-- Rates of credentials.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.gate r order by r.credential, r.bucket

-- name: table_inbox
-- params: none
-- Messages from outside.
declare exported no scroll cursor for
select row_to_json(r)::text as line
from (select id, n, source, event_id, name, match, to_run,
             replace(encode(payload, 'base64'), E'\n', '') as payload,
             encode(digest, 'hex') as digest, received_at, taken_by, taken_at, is_lost
      from newel.inbox) r
order by r.n

-- name: table_incident
-- params: none
-- What holds up steps.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.incident r order by r.id

-- name: table_hr_feed
-- params: none
-- Until when HR systems were asked for changes.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.hr_feed r order by r.name

-- name: table_hr_record
-- params: none
-- What HR has said of each employment.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.hr_record r order by r.feed, r.employee

-- name: table_migration
-- params: none
-- Which files made this schema.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.migration r order by r.number

-- name: table_occurrence
-- params: none
-- Planned moments that were decided.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.occurrence r order by r.schedule, r.planned_at

-- name: table_open_act
-- params: none
-- What is open of runs.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.open_act r order by r.run_id, r.key

-- name: table_given_address
-- params: none
-- Addresses that were given, by their digests.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.given_address r order by r.digest

-- name: table_person
-- params: none
-- People.
declare exported no scroll cursor for
select row_to_json(r)::text as line
from (select ref, hr_key, display_name, work_email, manager, key_state, updated_at
      from newel.person) r
order by r.ref

-- name: table_room
-- params: none
-- Where only so many may be active at once.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.room r order by r.name

-- name: table_run
-- params: none
-- Runs.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.run r order by r.id

-- name: table_schedule
-- params: none
-- What starts by itself.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.schedule r order by r.name

-- name: table_start_request
-- params: none
-- Requests that are not carried out twice.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.start_request r order by r.scope, r.key

-- name: table_system
-- params: none
-- Systems.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.system r order by r.key

-- name: table_task
-- params: none
-- Human work.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.task r order by r.id

-- name: table_task_file
-- params: none
-- Files that people attached, as they are stored.
declare exported no scroll cursor for
select row_to_json(r)::text as line
from (select task_id, run_id, replace(encode(name, 'base64'), E'\n', '') as name,
             replace(encode(content, 'base64'), E'\n', '') as content, size, sha256, attached_at
      from newel.task_file) r
order by r.task_id

-- name: table_ticket
-- params: none
-- Issues of incidents in trackers.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.ticket r order by r.incident_id, r.channel

-- name: table_webhook_delivery
-- params: none
-- What endpoints are told, and how far that is.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.webhook_delivery r
order by r.endpoint, r.stream_id, r.seq

-- name: table_webhook_endpoint
-- params: none
-- Where other systems are told of events.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.webhook_endpoint r order by r.name

-- name: table_webhook_received
-- params: none
-- Deliveries of other systems, as they are stored.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.webhook_received r order by r.id

-- name: table_webhook_refusal
-- params: none
-- How often deliveries were not accepted.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.webhook_refusal r order by r.source, r.cause

-- name: table_webhook_source
-- params: none
-- Since when the silence of sources is watched.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.webhook_source r order by r.name

-- name: table_worker
-- params: none
-- Servers that drive runs.
declare exported no scroll cursor for
select row_to_json(r)::text as line from newel.worker r order by r.id
