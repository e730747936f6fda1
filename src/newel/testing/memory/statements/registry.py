"""The statements of `registry.sql`."""

from __future__ import annotations

from uuid import UUID

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction


def _meant(at: Transaction, ref: UUID | None, hr_key: str | None, email: str) -> list[Row]:
    return [
        row
        for row in at.rows("person")
        if (ref is not None and row["ref"] == ref)
        or (hr_key is not None and row["hr_key"] == hr_key)
        or row["work_email"] == email
    ]


@statement("registry.person_known")
def person_known(at: Transaction, ref: UUID | None, hr_key: str | None, email: str) -> list[Row]:
    """A person by reference, employee number or work address."""
    found = sorted(_meant(at, ref, hr_key, email), key=lambda row: row["ref"] != ref)
    names = ("ref", "display_name", "work_email", "manager")
    return [{name: row[name] for name in names} for row in found[:1]]


@statement("registry.people_known")
def people_known(
    at: Transaction, ref: UUID | None, hr_key: str | None, email: str, digest: bytes | None
) -> list[Row]:
    """At most two people who are meant."""
    found = _meant(at, ref, hr_key, email)
    given = None if digest is None else at.get("given_address", digest)
    if given is not None and all(row["ref"] != given["person"] for row in found):
        holder = at.get("person", given["person"])
        assert holder is not None, "whoever has an address is registered"
        found.append(holder)
    names = ("ref", "hr_key", "work_email", "key_state")
    found.sort(key=lambda row: row["ref"])
    return [{name: row[name] for name in names} for row in found[:2]]


@statement("registry.person_by_name")
def person_by_name(at: Transaction, name: str) -> list[Row]:
    """At most two people of exactly this name."""
    return [
        {"ref": row["ref"], "display_name": name}
        for row in at.rows("person")
        if row["display_name"] == name
    ][:2]


@statement("registry.add_person")
def add_person(
    at: Transaction,
    ref: UUID,
    hr_key: str | None,
    name: str,
    email: str | None,
    manager: UUID | None,
    grams: list[str],
) -> list[Row]:
    """Registers a person; does nothing if the address or number has been given before."""
    row = at.insert_new(
        "person",
        {
            "ref": ref,
            "hr_key": hr_key,
            "display_name": name,
            "work_email": email,
            "manager": manager,
            "search_grams": grams,
        },
    )
    return [] if row is None else [{"ref": row["ref"]}]


@statement("registry.give_address")
def give_address(at: Transaction, digest: bytes, person: UUID) -> list[Row]:
    """Gives an address to a person for all time; does nothing if it was given before."""
    row = at.insert_new("given_address", {"digest": digest, "person": person, "given_at": at.now()})
    return [] if row is None else [{"person": person}]


@statement("registry.given_to")
def given_to(at: Transaction, digest: bytes) -> list[Row]:
    """To whom an address was given, and when they have reserved it."""
    row = at.get("given_address", digest)
    return [] if row is None else [{name: row[name] for name in ("person", "reserved_at")}]


@statement("registry.reserve_address")
def reserve_address(at: Transaction, digest: bytes) -> int:
    """Says that an address was reserved for the person who has it."""
    row = at.get("given_address", digest)
    if row is None or row["reserved_at"] is not None:
        return 0
    at.update("given_address", digest, reserved_at=at.now())
    return 1


@statement("registry.work_address")
def work_address(at: Transaction, person: UUID) -> list[Row]:
    """The work address of a person."""
    row = at.get("person", person)
    return [] if row is None else [{"work_email": row["work_email"]}]


@statement("registry.set_address")
def set_address(at: Transaction, person: UUID, email: str, grams: list[str]) -> int:
    """Records the work address of a person."""
    row = at.get("person", person)
    if row is None or row["key_state"] != "live" or row["work_email"] == email:
        return 0
    at.update("person", person, work_email=email, search_grams=grams, updated_at=at.server_now())
    return 1


@statement("registry.add_key")
def add_key(at: Transaction, person: UUID, n: int, wrapped: bytes, kek_id: str) -> int:
    """Keeps a person's key, wrapped."""
    at.insert("person_key", {"person": person, "n": n, "wrapped": wrapped, "kek_id": kek_id})
    return 1


@statement("registry.set_manager")
def set_manager(at: Transaction, person: UUID, manager: UUID) -> int:
    """Records whom a person answers to."""
    row = at.get("person", person)
    if row is None or row["manager"] == manager:
        return 0
    at.update("person", person, manager=manager, updated_at=at.server_now())
    return 1


@statement("registry.key_of")
def key_of(at: Transaction, person: UUID) -> list[Row]:
    """A person's newest living key."""
    keys = [row for row in at.of("person_key", person) if row["wrapped"] is not None]
    keys.sort(key=lambda row: row["n"])
    return [{"n": row["n"], "wrapped": row["wrapped"]} for row in keys[-1:]]


@statement("registry.foreign_key")
def foreign_key(at: Transaction, kek_ids: list[str]) -> list[Row]:
    """The key of some person that is wrapped under none of these key-encryption keys."""
    keys = [
        row
        for row in at.rows("person_key")
        if row["wrapped"] is not None and row["kek_id"] not in kek_ids
    ]
    return [{name: row[name] for name in ("person", "n", "wrapped")} for row in keys[:1]]


@statement("registry.definition")
def definition(at: Transaction, process: str, sha256: str) -> list[Row]:
    """The version number under which a source is registered."""
    row = at.get("definition", (process, sha256))
    return [] if row is None else [{"version": row["version"]}]


@statement("registry.add_definition")
def add_definition(
    at: Transaction,
    process: str,
    sha256: str,
    source: str,
    title: str,
    owner: str | None,
    drawing: str | None,
) -> list[Row]:
    """Registers a source as the next version; does nothing if another program was first."""
    versions = [row["version"] for row in at.rows("definition") if row["process"] == process]
    row = at.insert_new(
        "definition",
        {
            "process": process,
            "sha256": sha256,
            "version": max(versions, default=0) + 1,
            "source": source,
            "title": title,
            "owner": owner,
            "drawing": drawing,
        },
    )
    return [] if row is None else [{"version": row["version"]}]


@statement("registry.add_system")
def add_system(
    at: Transaction,
    key: str,
    title: str,
    connector: str,
    owner_team: str | None,
    credential: str | None,
) -> int:
    """Registers a system, or brings its row up to date."""
    columns = {
        "title": title, "connector": connector, "owner_team": owner_team, "credential": credential
    }  # fmt: skip
    if at.insert_new("system", {"key": key, **columns}) is not None:
        return 1
    row = at.get("system", key)
    assert row is not None, "its key was taken"
    if all(row[name] == columns[name] for name in columns):
        return 0
    at.update("system", key, **columns)
    return 1


@statement("registry.add_entitlement")
def add_entitlement(at: Transaction, key: str, system: str, title: str) -> int:
    """Registers an entitlement."""
    row = at.insert_new("entitlement", {"key": key, "system": system, "title": title})
    return int(row is not None)


@statement("registry.claim_request")
def claim_request(at: Transaction, scope: str, key: str, digest: bytes, run: UUID) -> list[Row]:
    """Claims a request; waits for another one with the same key to end first."""
    row = at.insert_new(
        "start_request", {"scope": scope, "key": key, "digest": digest, "run_id": run}
    )
    return [] if row is None else [{"run_id": run}]


@statement("registry.known_request")
def known_request(at: Transaction, scope: str, key: str) -> list[Row]:
    """What a request with this key has made."""
    row = at.get("start_request", (scope, key))
    return [] if row is None else [{"digest": row["digest"], "run_id": row["run_id"]}]


@statement("registry.now")
def now(at: Transaction) -> list[Row]:
    """The database's time."""
    return [{"now": at.now()}]
