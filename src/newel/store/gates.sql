-- Rate limits of credentials, shared by all workers: one row for each bucket that is in use.

-- name: take
-- params: credential, bucket, rate, capacity, floor, cost, want, patience, may_jump
-- Takes tokens, at least the cost or none; answers with how many, and with the seconds to wait:
-- before they may be spent, or before it is worth asking again.
select given, wait
from newel.take_tokens($1, $2, $3::float8, $4::float8, $5::float8, $6::float8, $7::float8,
                       $8::float8, $9::boolean)

-- name: lower
-- params: credential, bucket, remaining
-- The system says that fewer are left than we thought.
update newel.gate set tokens = least(tokens, $3::float8) where credential = $1 and bucket = $2

-- name: block
-- params: credential, bucket, until
-- Lets nothing pass before a moment; a later one that is known stays.
insert into newel.gate (credential, bucket, tokens, filled_at, blocked_until)
values ($1, $2, 0, newel.now(), $3)
on conflict (credential, bucket) do update set
    blocked_until = greatest(newel.gate.blocked_until, excluded.blocked_until),
    tokens = least(newel.gate.tokens, 0)
