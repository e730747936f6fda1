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
