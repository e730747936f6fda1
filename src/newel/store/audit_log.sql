-- The log over the journal: taking batches, growing the tree, reading tiles and signed heads.
-- Whoever writes here holds the advisory lock of the log until its transaction ends.

-- name: only_one
-- params: lock
-- Whether this transaction is the one that may seal now. A sequencer that is frozen in it must not
-- hold up the next: the server ends a transaction that has been idle for ten seconds. What it
-- commits is durable, whatever the server is set to.
select pg_try_advisory_xact_lock($1) as is_mine,
       set_config('idle_in_transaction_session_timeout', '10s', true) as idle,
       set_config('synchronous_commit',
                  case current_setting('synchronous_commit') when 'off' then 'on'
                       else current_setting('synchronous_commit') end, true) as durable

-- name: deployment
-- params: none
-- The id of this deployment, which its log is named after.
select id from newel.deployment

-- name: begun
-- params: log_epoch, origin, vkey
-- Begins a log epoch, empty.
insert into newel.audit_head (log_epoch, origin, vkey) values ($1, $2, $3)

-- name: head
-- params: none
-- The open log epoch under its row lock, and how far it is signed.
select h.log_epoch, h.origin, h.vkey, h.size, h.frontier,
       (select max(c.size) from newel.audit_checkpoint c where c.log_epoch = h.log_epoch)
           as signed_size
from newel.audit_head h where not h.is_closed for update

-- name: is_waiting
-- params: none
-- Whether a batch waits for its places, or places for a signature, and we may do anything about it.
select has_table_privilege('newel.audit_leaf', 'insert')
   and (exists (select 1 from newel.event_batch)
        or not exists (select 1 from newel.audit_head)
        or exists (select 1 from newel.audit_head h
                   where not h.is_closed and h.size > coalesce(
                       (select max(c.size) from newel.audit_checkpoint c
                        where c.log_epoch = h.log_epoch), 0)))

-- name: taken
-- params: at_most
-- Takes the oldest batches off the queue: of at most so many events together, at least one batch.
delete from newel.event_batch b
using (select f.id, sum(f.many) over (order by f.id) - f.many as before
       from (select q.id, cardinality(q.seqs) as many from newel.event_batch q
             order by q.id limit 1000) f) t
where b.id = t.id and t.before < $1
returning b.id, b.streams, b.seqs, b.leaf_hashes

-- name: placed
-- params: log_epoch, size, streams, seqs, leaf_hashes
-- Gives events the places from the size of the tree on.
insert into newel.audit_leaf (log_epoch, leaf_index, stream_id, seq, leaf_hash)
select $1, $2 + u.place - 1, u.stream_id, u.seq, u.leaf_hash
from unnest($3::uuid[], $4::bigint[], $5::bytea[]) with ordinality
     as u(stream_id, seq, leaf_hash, place)

-- name: filled
-- params: log_epoch, levels, numbers, roots
-- Keeps the roots of tiles that have become full.
insert into newel.audit_tile (log_epoch, level, n, root)
select $1, u.level, u.n, u.root
from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as u(level, n, root)

-- name: grown
-- params: log_epoch, from_size, size, frontier
-- Moves the right edge of the tree; answers with nothing if somebody else has.
update newel.audit_head set size = $3, frontier = $4
where log_epoch = $1 and size = $2 and not is_closed returning size

-- name: signed
-- params: log_epoch, size, root, note
-- Keeps a signed head; one that is there already is the same.
insert into newel.audit_checkpoint (log_epoch, size, root, note) values ($1, $2, $3, $4)
on conflict (log_epoch, size) do nothing

-- name: log_epochs
-- params: none
-- All log epochs in order.
select log_epoch, origin, vkey, size, is_closed from newel.audit_head order by log_epoch

-- name: leaf_hashes
-- params: log_epoch, first, end
-- The hashes of leaves in a row.
select string_agg(l.leaf_hash, ''::bytea order by l.leaf_index) as hashes
from newel.audit_leaf l where l.log_epoch = $1 and l.leaf_index >= $2 and l.leaf_index < $3

-- name: roots
-- params: log_epoch, level, first, end
-- The roots of full tiles in a row.
select string_agg(t.root, ''::bytea order by t.n) as hashes
from newel.audit_tile t where t.log_epoch = $1 and t.level = $2 and t.n >= $3 and t.n < $4

-- name: notes
-- params: log_epoch
-- All signed heads of a log epoch.
select size, root, note from newel.audit_checkpoint where log_epoch = $1 order by size

-- name: entries
-- params: log_epoch, first, end
-- Leaves in a row, each with its event as it lies in the journal, where it still does.
select l.leaf_index, l.stream_id, l.seq, l.leaf_hash, e.type, e.key, e.occurred_at, e.entry,
       sha256(e.payload) as payload_sha256, s.name as stream
from newel.audit_leaf l
left join newel.event e on e.stream_id = l.stream_id and e.seq = l.seq
left join newel.audit_stream s on s.id = l.stream_id
where l.log_epoch = $1 and l.leaf_index >= $2 and l.leaf_index < $3 order by l.leaf_index

-- name: unsealed
-- params: none
-- What no checkpoint covers yet, in order: leaves without a signature, then the queue.
select w.stream_id, w.seq, w.leaf_hash, w.is_old, e.type, e.key, e.occurred_at, e.entry,
       sha256(e.payload) as payload_sha256, s.name as stream
from (select 0::bigint as batch, l.leaf_index as place, l.stream_id, l.seq, l.leaf_hash,
             false as is_old
      from newel.audit_head h
      join newel.audit_leaf l on l.log_epoch = h.log_epoch
       and l.leaf_index >= coalesce((select max(c.size) from newel.audit_checkpoint c
                                     where c.log_epoch = h.log_epoch), 0)
      where not h.is_closed
      union all
      select b.id, u.place, u.stream_id, u.seq,
             substring(b.leaf_hashes from (u.place::int - 1) * 32 + 1 for 32),
             b.recorded_at < clock_timestamp() - interval '5 minutes'
      from newel.event_batch b
      cross join lateral unnest(b.streams, b.seqs) with ordinality
                 as u(stream_id, seq, place)) w
left join newel.event e on e.stream_id = w.stream_id and e.seq = w.seq
left join newel.audit_stream s on s.id = w.stream_id
order by w.batch, w.place

-- name: overlooked
-- params: none
-- Events that neither wait for a place nor have one.
select e.stream_id, e.seq, e.type, s.name as stream
from newel.event e
left join newel.audit_stream s on s.id = e.stream_id
where not exists (select 1 from newel.audit_leaf l where l.stream_id = e.stream_id and l.seq = e.seq)
  and not exists (select 1 from newel.event_batch b
                  cross join lateral unnest(b.streams, b.seqs) as u(stream_id, seq)
                  where u.stream_id = e.stream_id and u.seq = e.seq)
order by e.stream_id, e.seq limit 100

-- name: sealed_twice
-- params: none
-- Events that wait for a place although they have one.
select l.stream_id, l.seq, l.leaf_index, s.name as stream
from newel.event_batch b
cross join lateral unnest(b.streams, b.seqs) as u(stream_id, seq)
join newel.audit_leaf l on l.stream_id = u.stream_id and l.seq = u.seq
join newel.audit_head h on h.log_epoch = l.log_epoch and not h.is_closed
left join newel.audit_stream s on s.id = l.stream_id
order by l.leaf_index limit 100

-- name: state
-- params: none
-- What the tables say now of everything whose state the log leads to, and of streams.
select kind, id, seq, head, name, facts::text as facts from (
select 'run' as kind, r.id, r.seq, encode(r.head, 'hex') as head, null as name,
       jsonb_build_object('state', r.state, 'version', r.version, 'process', r.process,
           'subject', r.subject, 'is_acknowledged', r.acknowledged_at is not null,
           'is_expired', r.payload_expired_at is not null)
       || case when r.finished_at is null
               then jsonb_build_object('is_paused', r.paused_at is not null) else '{}' end as facts
from newel.run r
union all
select 'grant', g.id, null, null, null,
       jsonb_build_object('state', g.state, 'person', g.person, 'entitlement', g.entitlement,
           'valid_from', to_char(g.valid_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'valid_to', to_char(g.valid_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
from newel.access_grant g
union all
select 'task', t.id, null, null, null,
       jsonb_build_object('state', t.state, 'decision', t.decision, 'by', t.decided_by,
           'run', t.run_id, 'key', t.key)
from newel.task t
union all
select 'incident', i.id, null, null, null,
       jsonb_build_object('is_closed', i.state = 'closed', 'class', i.class)
from newel.incident i
union all
select 'ticket', k.incident_id, null, null, k.incident_id || ' ' || k.channel,
       jsonb_build_object('external_key', k.external_key)
from newel.ticket k
union all
select 'key', null, null, null, a.id,
       jsonb_build_object('is_revoked', a.revoked_at is not null,
           'expires_at', to_char(a.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
from newel.api_key a
union all
select 'definition', null, null, null, d.process || '@' || d.version,
       jsonb_build_object('sha256', d.sha256,
           'source_sha256', encode(sha256(convert_to(d.source, 'UTF8')), 'hex'),
           'drawing_sha256', encode(sha256(convert_to(d.drawing, 'UTF8')), 'hex'))
from newel.definition d
union all
select 'schedule', null, null, null, s.name,
       jsonb_build_object('process', s.process, 'cron', s.cron, 'zone', s.zone,
           'missed', s.missed, 'is_paused', s.paused_at is not null,
           'is_retired', s.retired_at is not null)
from newel.schedule s
union all
select 'stream', s.id, s.seq, encode(s.head, 'hex'), s.name, null from newel.audit_stream s) seen
order by kind, id, name

-- name: edge
-- params: log_epoch
-- Size and right edge of a log epoch.
select size, frontier from newel.audit_head where log_epoch = $1

-- name: newest
-- params: none
-- The newest signed head.
select c.log_epoch, c.size, c.note from newel.audit_checkpoint c
order by c.log_epoch desc, c.size desc limit 1

-- name: anchored
-- params: log_epoch
-- How far each place outside has the heads of a log epoch, and how long ago it took the last one.
select a.target, max(a.size) as size, clock_timestamp() - max(a.created_at) as ago
from newel.audit_anchor a where a.log_epoch = $1 group by a.target

-- name: anchor
-- params: log_epoch, size, target, receipt
-- Keeps a receipt.
insert into newel.audit_anchor (log_epoch, size, target, receipt) values ($1, $2, $3, $4)
on conflict do nothing

-- name: rekeyed
-- params: log_epoch, vkey
-- Says that another key signs from now on.
update newel.audit_head set vkey = $2 where log_epoch = $1 and not is_closed

-- name: closed
-- params: log_epoch
-- Ends a log epoch: nothing is added to it any more.
update newel.audit_head set is_closed = true where log_epoch = $1

-- name: taken_of
-- params: stream
-- Takes the batches of one stream off the queue, whatever waits before them.
delete from newel.event_batch b where $1::uuid = any(b.streams)
returning b.id, b.streams, b.seqs, b.leaf_hashes

-- name: leaves_from
-- params: log_epoch, first
-- The leaves of a log epoch from a place on.
select stream_id, seq, leaf_hash from newel.audit_leaf
where log_epoch = $1 and leaf_index >= $2 order by leaf_index

-- name: cosigned
-- params: log_epoch
-- What witnesses have signed under the heads of a log epoch.
select a.size, a.receipt from newel.audit_anchor a
where a.log_epoch = $1 and a.target like 'witness:%' order by a.size, a.target

-- name: stamped
-- params: none
-- Time stamps that were given over heads, with the heads themselves.
select a.log_epoch, a.size, a.target, a.receipt, c.note
from newel.audit_anchor a join newel.audit_checkpoint c using (log_epoch, size)
where a.target like 'rfc3161:%' order by a.log_epoch, a.size, a.target

-- name: sources
-- params: none
-- Source and drawing of every definition that was ever registered.
select process, version, source, drawing from newel.definition

-- name: begun_within
-- params: log_epoch, size
-- How many runs and grants of the tables began within the first leaves of a log epoch.
select (select count(*) from newel.run r
        join newel.audit_leaf l on l.stream_id = r.id and l.seq = 1
        where l.log_epoch = $1 and l.leaf_index < $2) as runs,
       (select count(*) from newel.access_grant g
        join newel.audit_leaf l on l.stream_id = g.made_run and l.seq = g.made_seq
        where l.log_epoch = $1 and l.leaf_index < $2) as grants

-- name: receipts
-- params: log_epoch, size
-- What places outside said when they took heads of up to this size.
select a.size, a.target, a.receipt, a.created_at from newel.audit_anchor a
where a.log_epoch = $1 and a.size <= $2 order by a.size, a.target

-- name: draws
-- params: size
-- The samples that were drawn, of those sealed in the open log epoch within this size.
select l.leaf_index, e.entry from newel.audit_stream s
join newel.event e on e.stream_id = s.id and e.type = 'data.sample_drawn'
join newel.audit_leaf l on l.stream_id = e.stream_id and l.seq = e.seq
join newel.audit_head h on h.log_epoch = l.log_epoch and not h.is_closed
where s.name = 'admin' and l.leaf_index < coalesce($1::bigint, (
    select max(c.size) from newel.audit_checkpoint c where c.log_epoch = l.log_epoch))

-- name: people_of
-- params: hr_keys
-- Whom employee numbers stand for.
select hr_key, ref from newel.person where hr_key = any($1::text[]) and key_state = 'live'

-- name: names_of
-- params: people
-- How people are called now, by reference; who was erased is not among them.
select ref, display_name, work_email, hr_key from newel.person
where ref = any($1::uuid[]) and key_state = 'live'

-- name: place_of
-- params: stream, run, seq
-- Whether an event is in the journal, and where its newest place in the log is; a run has an id
-- for a stream, other streams have a name.
select e.stream_id, l.log_epoch, l.leaf_index
from newel.event e
left join lateral (select p.log_epoch, p.leaf_index from newel.audit_leaf p
                   where p.stream_id = e.stream_id and p.seq = e.seq
                   order by p.log_epoch desc limit 1) l on true
where e.stream_id = coalesce($2::uuid, (select id from newel.audit_stream where name = $1::text))
  and e.seq = $3

-- name: anchored_before
-- params: before
-- How far each log epoch stands under a head that is older than a moment and kept elsewhere, too.
select h.log_epoch, h.origin, h.min_index, max(c.size) as size
from newel.audit_head h
join newel.audit_checkpoint c on c.log_epoch = h.log_epoch and c.created_at < $1
where exists (select 1 from newel.audit_anchor a
              where a.log_epoch = c.log_epoch and a.size = c.size)
group by h.log_epoch, h.origin, h.min_index order by h.log_epoch

-- name: archived
-- params: none
-- How far log epochs were archived, as the log says.
select data ->> 'origin' as origin, max((data ->> 'to')::bigint) as size
from (select convert_from(e.entry, 'UTF8')::jsonb -> 'data' as data
      from newel.audit_stream s
      join newel.event e on e.stream_id = s.id and e.type = 'log.archived'
      where s.name = 'log') told
group by data ->> 'origin'

-- name: given_up
-- params: log_epoch, min_index
-- Says that entries below a place need not be in the database any more.
update newel.audit_head set min_index = $2
where log_epoch = $1 and min_index < $2 returning min_index

-- name: absent
-- params: streams, seqs, leaf_hashes
-- Which of these events are neither in the journal nor, pruned, in the tree.
select u.place - 1 as place
from unnest($1::uuid[], $2::bigint[], $3::bytea[]) with ordinality
     as u(stream_id, seq, leaf_hash, place)
where not exists (select from newel.event e
                  where e.stream_id = u.stream_id and e.seq = u.seq
                    and sha256('\x00'::bytea || e.entry) = u.leaf_hash)
  and not exists (select from newel.audit_head h
                  join newel.audit_leaf l on l.log_epoch = h.log_epoch
                      and l.stream_id = u.stream_id and l.seq = u.seq
                  where l.leaf_hash = u.leaf_hash)
order by u.place
