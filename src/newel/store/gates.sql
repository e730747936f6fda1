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

-- name: admit_removal
-- params: credential, whose, run, most, window, alone, released
-- Whether one more person may lose access with a credential; if so they are counted.
select newel.admit_removal($1, $2::bytea, $3::uuid, $4::integer, $5::interval, $6::boolean,
                           $7::boolean) as admitted

-- name: forget_removals
-- params: window
-- Forgets who lost access longer ago than it counts.
delete from newel.removal r
using (select credential, whose from newel.removal
       where removed_at <= newel.now() - $1::interval for update skip locked) o
where (r.credential, r.whose) = (o.credential, o.whose)

-- name: holding
-- params: none
-- The credentials with which steps are held of which nobody has decided: one row is read of each,
-- however many they are.
with recursive held as (
    (select credential from newel.open_act
     where state = 'parked' and reason = 'held' and detail ->> 'refused' is null
     order by credential limit 1)
    union all
    select (select a.credential from newel.open_act a
            where a.state = 'parked' and a.reason = 'held' and a.detail ->> 'refused' is null
              and a.credential > held.credential
            order by a.credential limit 1)
    from held where held.credential is not null)
select credential from held where credential is not null

-- name: held_up
-- params: credential, how_many
-- Steps that would have taken access from one person too many, and of which nobody has decided,
-- the oldest first.
select a.run_id, a.key, a.credential, a.system, a.fingerprint, a.detail, r.process, r.subject,
       coalesce(y.title, a.system) as title, newel.now() as as_of
from newel.open_act a
join newel.run r on r.id = a.run_id
left join newel.system y on y.key = a.system
where a.state = 'parked' and a.reason = 'held' and a.detail ->> 'refused' is null
  and a.credential = $1
order by a.opened_at, a.run_id, a.key limit $2

-- name: asked_about
-- params: event
-- The credentials of which somebody is asked already, and whether they still are: what they have
-- decided may not be carried out yet.
select e.match, exists (select from newel.open_act t
                        where t.run_id = e.run_id and t.task_id is not null) as is_open
from newel.open_act e where e.kind = 'event' and e.event = $1 and e.match is not null
order by e.match
