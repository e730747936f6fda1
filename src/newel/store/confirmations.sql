-- Confirmations: what one person has ordered, of no run, until another one confirms it.

-- name: order
-- params: event_id, act, about, ordered_by, orderer, lasts
-- Keeps an order until somebody else confirms it; without a row where the same is ordered already.
insert into newel.confirmation (event_id, act, about, ordered_by, orderer, expires_at)
values ($1, $2, $3, $4, $5, newel.now() + $6)
on conflict do nothing returning expires_at

-- name: lapse
-- params: act, about
-- Ends an order whose time is over.
update newel.confirmation set ended_at = newel.now()
where act = $1 and about = $2 and ended_at is null and expires_at <= newel.now()

-- name: pending
-- params: act, about
-- What was ordered and nobody has confirmed yet; locked.
select event_id, ordered_by, orderer from newel.confirmation
where act = $1 and about = $2 and ended_at is null and expires_at > newel.now() for update

-- name: carry_out
-- params: event_id
-- Ends an order that is carried out.
update newel.confirmation set ended_at = newel.now() where event_id = $1
