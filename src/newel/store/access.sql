-- Keys of the API. Their expiry goes by the server's own clock: moving newel.now() makes no
-- key live longer.

-- name: any_key
-- params: none
-- Whether the API asks for a key at all.
select exists (select 1 from newel.api_key where revoked_at is null)

-- name: read_key
-- params: key
-- A key that opens something, with the hash it is compared with.
select id, name, sha256, expires_at from newel.api_key
where id = $1 and revoked_at is null and expires_at > clock_timestamp()

-- name: used_key
-- params: key
-- When a key was last used, to the minute.
update newel.api_key set last_used_at = clock_timestamp()
where id = $1 and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')

-- name: keys
-- params: none
-- All keys that are not revoked, the newest first.
select id, name, created_at, expires_at, last_used_at from newel.api_key
where revoked_at is null order by created_at desc, id

-- name: add_key
-- params: key, name, sha256, lasts
-- A new key, by its public part; answers with when it expires.
insert into newel.api_key (id, name, sha256, expires_at)
values ($1, $2, $3, clock_timestamp() + $4::interval) returning expires_at

-- name: revoke_key
-- params: key
-- Makes a key open nothing; answers with nothing if there is no such key.
update newel.api_key set revoked_at = clock_timestamp()
where id = $1 and revoked_at is null returning id
