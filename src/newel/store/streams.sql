-- Streams that are no run: system/<name>, admin, service/<server>, log.

-- name: made
-- params: id, name
-- Makes the stream if it is new.
insert into newel.audit_stream (id, name) values ($1, $2) on conflict (name) do nothing

-- name: head
-- params: name
-- The head of a stream under its row lock. A worker that is frozen with it must not hold up the
-- others: the server ends a transaction that has been idle for ten seconds.
select id, name, seq, head, last_at,
       set_config('idle_in_transaction_session_timeout', '10s', true) as idle
from newel.audit_stream where name = $1 for update
