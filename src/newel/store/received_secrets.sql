-- Secrets that newel hands on, each by a link that shows it once.

-- name: lock_person
-- params: person
-- Locks a person's row, so that two who keep a secret for them come one after the other.
select ref from newel.person where ref = $1 for no key update

-- name: replace
-- params: person, system
-- Ends the link that waits to be opened: a newer one takes its place.
update newel.received_secret set state = 'replaced', sealed = null, ended_at = newel.now()
where person = $1 and system = $2 and state = 'waiting'

-- name: keep
-- params: id, person, system, token_sha256, sealed, lasts
-- Keeps a secret until its link is opened; answers with how long the link shows it.
insert into newel.received_secret (id, person, system, token_sha256, sealed, kept_at, expires_at)
values ($1, $2, $3, $4, $5, newel.now(), newel.now() + $6::interval)
returning expires_at

-- name: sent
-- params: id
-- Says that the link of a secret was sent.
update newel.received_secret set sent_at = newel.now() where id = $1

-- name: has_missed
-- params: person, system
-- Whether the person's latest link was not sent, or nobody opened it in time.
select state <> 'revealed' and (sent_at is null or expires_at <= newel.now())
from newel.received_secret where person = $1 and system = $2
order by kept_at desc, id desc limit 1

-- name: found
-- params: token_sha256
-- What became of a link, and what it is about.
select s.state, s.expires_at, s.ended_at, newel.now() as as_of, p.work_email,
       coalesce(y.title, s.system) as title
from newel.received_secret s
join newel.person p on p.ref = s.person
left join newel.system y on y.key = s.system
where s.token_sha256 = $1

-- name: take
-- params: token_sha256
-- Takes a secret out, once: whoever comes second finds the link opened.
with waiting as (
    select id, sealed from newel.received_secret
    where token_sha256 = $1 and state = 'waiting' and expires_at > newel.now()
    for update)
update newel.received_secret s set state = 'revealed', sealed = null, ended_at = newel.now()
from waiting w where s.id = w.id
returning s.id, s.person, s.system, w.sealed, s.ended_at

-- name: expire
-- params: none
-- Forgets what nobody has fetched in time.
update newel.received_secret set state = 'expired', sealed = null, ended_at = newel.now()
where state = 'waiting' and expires_at <= newel.now()

-- name: sealed_after
-- params: id, how_many
-- Secrets that wait, after an id, locked.
select id, sealed from newel.received_secret
where id > $1 and sealed is not null order by id limit $2 for update

-- name: reseal
-- params: id, sealed
-- Keeps a secret as it is sealed under another key-encryption key.
update newel.received_secret set sealed = $2 where id = $1
