-- The sealed events of the log as a row of entries, for whoever writes them in other forms.
-- An event that got a place in a later log epoch, too, counts there alone.

-- name: in_order
-- params: since, until
-- Opens a cursor over the entries of a period in the order of the log.
declare sealed_events no scroll cursor for
select log_epoch, leaf_index, leaf_hash, entry from newel.sealed_event
where occurred_at >= $1 and occurred_at < $2 and is_signed and is_newest
order by log_epoch, leaf_index

-- name: by_stream
-- params: since, until
-- The same, stream after stream; the streams of runs in the order in which they began.
declare sealed_events no scroll cursor for
select log_epoch, leaf_index, leaf_hash, entry from newel.sealed_event
where occurred_at >= $1 and occurred_at < $2 and is_signed and is_newest
order by stream_id, seq

-- name: after
-- params: log_epoch, leaf_index
-- Opens the same cursor over all that is sealed, not pruned, and comes after a place in the log.
declare sealed_events no scroll cursor for
select log_epoch, leaf_index, leaf_hash, entry from newel.sealed_event
where (log_epoch, leaf_index) > ($1, $2) and is_signed and entry is not null
order by log_epoch, leaf_index

-- name: in_log
-- params: log_epoch, size
-- Opens the same cursor over the first leaves of a log epoch, whatever came after it; the entry of
-- a pruned one is null.
declare sealed_events no scroll cursor for
select log_epoch, leaf_index, leaf_hash, entry from newel.sealed_event
where log_epoch = $1 and leaf_index < $2
order by leaf_index

-- name: hash_at
-- params: log_epoch, leaf_index
-- The leaf hash at a place in the log.
select leaf_hash from newel.audit_leaf where log_epoch = $1 and leaf_index = $2

-- name: more
-- params: none
-- The next entries.
fetch forward 256 in sealed_events

-- name: close
-- params: none
-- Ends the cursor.
close sealed_events

-- name: hashes
-- params: since, until
-- Opens a cursor over the hashes of all events of a period, sealed or not.
declare event_hashes no scroll cursor for
select e.stream_id, e.seq, e.type, e.occurred_at, s.name as stream,
       sha256('\x00'::bytea || e.entry) as leaf_hash
from newel.event e left join newel.audit_stream s on s.id = e.stream_id
where e.occurred_at >= $1 and e.occurred_at <= $2
order by e.occurred_at, e.stream_id, e.seq

-- name: more_hashes
-- params: none
-- The next hashes.
fetch forward 1000 in event_hashes

-- name: close_hashes
-- params: none
-- Ends the cursor.
close event_hashes

-- name: pruned_until
-- params: none
-- Up to when events may be missing: the last end of a run that was pruned.
select max(finished_at) as until from newel.run where pruned_at is not null
