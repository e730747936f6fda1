-- The sealed events of the log as a row of entries, for whoever writes them in other forms.
-- An event that got a place in a later log epoch, too, counts there alone.

-- name: in_order
-- params: since, until
-- Opens a cursor over the entries of a period in the order of the log.
declare sealed_events no scroll cursor for
select l.log_epoch, l.leaf_index, l.leaf_hash, e.entry
from newel.audit_leaf l
join newel.event e on e.stream_id = l.stream_id and e.seq = l.seq
where e.occurred_at >= $1 and e.occurred_at < $2
  and l.leaf_index < (select max(c.size) from newel.audit_checkpoint c
                      where c.log_epoch = l.log_epoch)
  and not exists (select 1 from newel.audit_leaf n
                  where n.log_epoch > l.log_epoch and n.stream_id = l.stream_id and n.seq = l.seq)
order by l.log_epoch, l.leaf_index

-- name: by_stream
-- params: since, until
-- The same, stream after stream; the streams of runs in the order in which they began.
declare sealed_events no scroll cursor for
select l.log_epoch, l.leaf_index, l.leaf_hash, e.entry
from newel.audit_leaf l
join newel.event e on e.stream_id = l.stream_id and e.seq = l.seq
where e.occurred_at >= $1 and e.occurred_at < $2
  and l.leaf_index < (select max(c.size) from newel.audit_checkpoint c
                      where c.log_epoch = l.log_epoch)
  and not exists (select 1 from newel.audit_leaf n
                  where n.log_epoch > l.log_epoch and n.stream_id = l.stream_id and n.seq = l.seq)
order by l.stream_id, l.seq

-- name: more
-- params: none
-- The next entries.
fetch forward 256 in sealed_events

-- name: close
-- params: none
-- Ends the cursor.
close sealed_events
