"""The deployment's book: whose an account is by the ledger, and to whom an address was given.

An address is given to one person, for all time. The rows are digests under the key-encryption key;
in clear an address stands with its person alone. Whoever reserves and dies before the outcome is
written finds the address again.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from newel.base.errors import Invalid
from newel.base.ids import parse_reference
from newel.connectors.owning import Bound, Owning
from newel.domain.people import Person
from newel.engine.operating import Operating
from newel.store import ledger, registry

__all__ = ["Book"]


class Book:
    """Whose accounts and addresses are, in one deployment."""

    def __init__(self, operating: Operating, connectors: Sequence[object]) -> None:
        """Stand behind the connectors."""
        self._database, self._vault = operating.database, operating.vault
        for each in connectors:
            if isinstance(each, Owning):
                each.know_from(self)

    async def bound(self, person: Person, system: str, account: str) -> Bound | None:
        """Say with whom the ledger has an account; without an id, whether they were invited."""
        ref = _known(person)
        holder = await ledger.holder(self._database, f"{system}:account", account, ref)
        if holder is None:
            return None
        return "theirs" if holder == ref else "another's"

    async def reserved(self, person: Person) -> str | None:
        """Give the address that was reserved for them before."""
        ref = _known(person)
        if ref is None:
            return None
        email = await registry.work_address(self._database, ref)
        if email is None:
            return None
        row = await registry.given_to(self._database, self._vault.mark_of(email))
        is_theirs = row is not None and row["person"] == ref and row["reserved_at"] is not None
        return email if is_theirs else None

    async def is_free(self, person: Person, email: str) -> bool:
        """Whether it was never given to anybody but them."""
        row = await registry.given_to(self._database, self._vault.mark_of(email))
        return row is None or row["person"] == _id_of(person)

    async def reserve(self, person: Person, email: str) -> bool:
        """Give it to them for all time, unless somebody else came first. Durable on return."""
        ref, digest = _id_of(person), self._vault.mark_of(email)
        async with self._database.transaction() as connection:
            if await registry.give_address(connection, digest, ref) == "another's":
                return False
            await registry.reserve_address(connection, digest)
            await registry.set_address(connection, ref, name=person.name, email=email)
        return True


def _known(person: Person) -> UUID | None:
    """Give a person's id; None for somebody whom newel has not registered."""
    try:
        return parse_reference(person.ref)[1]
    except ValueError:
        return None


def _id_of(person: Person) -> UUID:
    ref = _known(person)
    if ref is None:
        raise Invalid("The person has no reference: only a run knows whom it is about.")
    return ref
