-- What checks have found of a credential's plan and token: one row for each capability declared.

-- name: of_credentials
-- params: credentials
-- What is known of some credentials.
select credential, name, checked_at, proved_at
from newel.capability where credential = any($1) order by credential, name

-- name: keep
-- params: credential, system, names, checked, proved
-- Keeps what a check has found, where it is newer than what is known; proofs are not forgotten.
insert into newel.capability (credential, system, name, checked_at, proved_at)
select $1, $2, f.name, f.checked_at, f.proved_at
from unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) as f (name, checked_at, proved_at)
on conflict (credential, name) do update set
    checked_at = excluded.checked_at,
    proved_at = greatest(newel.capability.proved_at, excluded.proved_at)
where newel.capability.checked_at < excluded.checked_at

-- name: forget
-- params: credential, names
-- Forgets what is not declared any more: all of a credential but these.
delete from newel.capability where credential = $1 and name <> all($2::text[])
