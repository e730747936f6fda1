"""Whose an account is that can bear no mark: evidence decides, never its address alone.

    the ledger has it with somebody else           -> OwnershipConflict; nobody is asked
    the ledger has it with them                    -> theirs: "ledger"
    it is at the address reserved for them         -> theirs: "derived"
    it is made by hand after newel has asked, or
    is to be taken away by hand                    -> theirs: "asked for"
    a person has said of just this one             -> theirs: "decided by a person"
    anything else                                  -> OwnershipConflict; a person is asked

An invitation is no account: whoever reads the mail of its address accepts it, as they would accept
one of ours. Outside a deployment nothing is known of ledger and addresses, so that what is found
there is nobody's before somebody says so.
Source: connectors document, §4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Literal, Protocol, TypeVar

from newel.base.errors import OwnershipConflict
from newel.connectors.capability import BY_HAND
from newel.connectors.ensure import BY_PERSON
from newel.connectors.looking import adopts, was_asked, way
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["INVITED", "IN_LEDGER", "UNKNOWN", "Book", "Bound", "Owned", "Owning", "evidence_of"]

IN_LEDGER: Final = "ledger"
INVITED: Final = "open invitation"
UNKNOWN: Final = "unknown"
"""Stands for the id of an account of which a system tells no more than that it is there."""

_RESERVED: Final = "derived"
_ASKED_FOR: Final = "asked for"
_Found = TypeVar("_Found")
Bound = Literal["theirs", "another's"]


@dataclass(frozen=True, slots=True)
class Owned(Generic[_Found]):
    """What a system shows, and why it is known to be the person's."""

    value: _Found
    evidence: str


class Book(Protocol):
    """Where the deployment keeps whose an account is, and to whom an address was given."""

    async def bound(self, person: Person, system: str, account: str) -> Bound | None:
        """Say with whom the ledger has an account, by its id; None where it has never seen it.

        Who was invited has one whose id is not known yet.
        """
        ...

    async def reserved(self, person: Person) -> str | None:
        """Give the address that was reserved for them before; None if there is none."""
        ...

    async def is_free(self, person: Person, email: str) -> bool:
        """Whether an address was never given to anybody but them."""
        ...

    async def reserve(self, person: Person, email: str) -> bool:
        """Give them an address for all time; False if it is somebody else's by now."""
        ...


class Owning:
    """The part of a connector that tells whose an account is. title: the system's own name."""

    title: str
    _book: Book | None = None

    def know_from(self, book: Book) -> None:
        """Put what the deployment keeps behind the connector."""
        self._book = book

    async def whose(self, person: Person, account: Account, *shown: str, gives: bool = True) -> str:
        """Give the evidence that an account which bears no mark is a person's.

        shown: what helps somebody to decide it, one sentence each, nothing personal. gives: whether
        it would be taken for what the step is to give; what is to be taken away by hand is looked
        at by whoever does it. Raises OwnershipConflict where there is no evidence; a person is
        asked then, unless the ledger has the account with somebody else.
        """
        bound = await self.bound(person, account)
        if bound == "theirs":
            return IN_LEDGER
        if await self._is_reserved(person, account):
            return _RESERVED
        if way() == BY_HAND and (was_asked() or not gives):
            return _ASKED_FOR
        found = account.id or UNKNOWN
        if adopts() == found:
            return BY_PERSON
        raise OwnershipConflict(
            f"{self.title} has an account at this address that is not known to be theirs.",
            external_id=found,
            evidence="no evidence",
            shown=shown,
        )

    async def bound(self, person: Person, account: Account) -> Bound | None:
        """Say whether the ledger has an account with a person; None where it does not know it.

        Raises OwnershipConflict where it has it with somebody else.
        """
        if self._book is None:
            return None
        bound = await self._book.bound(person, account.system, account.id)
        if bound == "another's":
            raise OwnershipConflict(
                f"This {self.title} account is somebody else's by the ledger.",
                external_id=account.id,
                evidence="bound to another subject",
            )
        return bound

    async def _is_reserved(self, person: Person, account: Account) -> bool:
        """Whether it is at the address that was reserved for them."""
        if self._book is None or not account.email:
            return False
        return await self._book.reserved(person) == account.email.lower()


def evidence_of(found: Owned[_Found]) -> str:
    """Give the evidence that was found with it."""
    return found.evidence
