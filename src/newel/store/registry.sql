-- What is registered once and referred to for ever: people and their keys, definitions,
-- systems, requests that must not be carried out twice.

-- name: person_known
-- params: ref, hr_key, email
-- A person by reference, employee number or work address; never one who was erased.
select ref, display_name, work_email, manager from newel.person
where key_state = 'live' and (ref = $1 or hr_key = $2 or work_email = $3)
order by (ref = $1) desc nulls last limit 1

-- name: people_known
-- params: ref, hr_key, email, digest
-- At most two people who are meant by a reference, an employee number, a work address or the digest
-- of one; who was erased only by the digest of an address that was theirs.
select ref, hr_key, work_email, key_state from newel.person
where (key_state = 'live' and (ref = $1 or hr_key = $2 or work_email = $3))
   or ref = (select person from newel.given_address where digest = $4)
order by ref limit 2

-- name: person_by_name
-- params: name
-- People of exactly this name.
select ref, display_name from newel.person where display_name = $1 and key_state = 'live' limit 2

-- name: add_person
-- params: ref, hr_key, name, email, manager, grams
-- Registers a person; does nothing if the address or number has been given before.
insert into newel.person (ref, hr_key, display_name, work_email, manager, search_grams)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning ref

-- name: give_address
-- params: digest, person
-- Gives an address to a person for all time; does nothing if it was given before.
insert into newel.given_address (digest, person, given_at) values ($1, $2, newel.now())
on conflict do nothing returning person

-- name: given_to
-- params: digest
-- To whom an address was given, and when they have reserved it.
select person, reserved_at from newel.given_address where digest = $1

-- name: reserve_address
-- params: digest
-- Says that an address was reserved for the person who has it.
update newel.given_address set reserved_at = newel.now() where digest = $1 and reserved_at is null

-- name: work_address
-- params: person
-- The work address of a person.
select work_email from newel.person where ref = $1

-- name: set_address
-- params: person, email, grams
-- Records the work address of a person.
update newel.person set work_email = $2, search_grams = $3, updated_at = clock_timestamp()
where ref = $1 and key_state = 'live' and work_email is distinct from $2

-- name: add_key
-- params: person, n, wrapped, kek_id
-- Keeps a person's key, wrapped.
insert into newel.person_key (person, n, wrapped, kek_id) values ($1, $2, $3, $4)

-- name: set_manager
-- params: person, manager
-- Records whom a person answers to.
update newel.person set manager = $2, updated_at = clock_timestamp()
where ref = $1 and manager is distinct from $2

-- name: key_of
-- params: person
-- A person's newest living key; the person cannot be erased before the transaction ends.
select n, wrapped from newel.person_key where person = $1 and wrapped is not null
order by n desc limit 1 for share

-- name: definition
-- params: process, sha256
-- The version number under which a source is registered.
select version from newel.definition where process = $1 and sha256 = $2

-- name: add_definition
-- params: process, sha256, source, title, owner, drawing
-- Registers a source as the next version; does nothing if another program was first.
insert into newel.definition (process, sha256, version, source, title, owner, drawing)
select $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6 from newel.definition
where process = $1
on conflict do nothing returning version

-- name: add_system
-- params: key, title, connector, owner_team, credential
-- Registers a system, or brings its row up to date.
insert into newel.system (key, title, connector, owner_team, credential)
values ($1, $2, $3, $4, $5)
on conflict (key) do update set title = excluded.title, connector = excluded.connector,
    owner_team = excluded.owner_team, credential = excluded.credential
where (newel.system.title, newel.system.connector, newel.system.owner_team,
       newel.system.credential)
      is distinct from (excluded.title, excluded.connector, excluded.owner_team,
                        excluded.credential)

-- name: add_entitlement
-- params: key, system, title
-- Registers an entitlement.
insert into newel.entitlement (key, system, title) values ($1, $2, $3) on conflict do nothing

-- name: claim_request
-- params: scope, key, digest, run
-- Claims a request; waits for another one with the same key to end first.
insert into newel.start_request (scope, key, digest, run_id) values ($1, $2, $3, $4)
on conflict do nothing returning run_id

-- name: known_request
-- params: scope, key
-- What a request with this key has made.
select digest, run_id from newel.start_request where scope = $1 and key = $2

-- name: now
-- params: none
-- The database's time.
select newel.now()

-- name: foreign_key
-- params: kek_ids
-- The key of some person that is wrapped under none of these key-encryption keys.
select person, n, wrapped from newel.person_key
where wrapped is not null and kek_id <> all($1::text[]) limit 1

-- name: keep_key
-- params: person, n, wrapped, kek_id
-- Keeps a key, wrapped, unless there is one of this number.
insert into newel.person_key (person, n, wrapped, kek_id) values ($1, $2, $3, $4)
on conflict do nothing

-- name: stale_keys
-- params: kek_id, how_many
-- Keys that are not wrapped under a key-encryption key, locked.
select person, n, wrapped from newel.person_key
where wrapped is not null and kek_id <> $1
order by person, n limit $2 for update

-- name: rewrap
-- params: person, n, wrapped, kek_id
-- Wraps a key anew.
update newel.person_key set wrapped = $3, kek_id = $4 where person = $1 and n = $2
