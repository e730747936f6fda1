-- Tokens that systems renew, and what renews them next: sealed, one row for each credential.

-- name: make_turn
-- params: id, credential
-- Makes the row at which whoever renews a token waits for the turn.
insert into newel.kept_token (id, credential) values ($1, $2) on conflict do nothing

-- name: await_turn
-- params: id
-- Waits for the turn to renew a token, and gives what was kept, sealed.
select sealed from newel.kept_token where id = $1 for update

-- name: keep
-- params: id, sealed
-- Keeps what a renewal has given.
update newel.kept_token set sealed = $2, kept_at = newel.now() where id = $1

-- name: sealed_after
-- params: id, how_many
-- Tokens that are kept, after an id, locked.
select id, sealed from newel.kept_token
where id > $1 and sealed is not null order by id limit $2 for update

-- name: reseal
-- params: id, sealed
-- Keeps a token as it is sealed under another key-encryption key.
update newel.kept_token set sealed = $2 where id = $1
