"""Who is meant by a work address: looked up once, then known to the worker.

The runner does no I/O. A wait that is asked of an address makes an errand of it, and is opened
once the address is known. An address belongs to one person for all time, so it is kept; that
nobody has it is told once and looked up again the next time.
"""

from __future__ import annotations

from uuid import UUID

from newel.store import registry
from newel.store.database import Database

__all__ = ["Addresses"]


class Addresses:
    """The work addresses that a worker has looked up."""

    def __init__(self) -> None:
        """Know none."""
        self._found: dict[str, UUID | None] = {}

    def __contains__(self, address: str) -> bool:
        return address in self._found

    def owner(self, address: str) -> UUID | None:
        """Whose address it is; None if nobody's. It must have been looked up."""
        person = self._found[address]
        if person is None:
            del self._found[address]
        return person

    async def look_up(self, database: Database, address: str) -> None:
        """Ask the database for one address."""
        async with database.transaction() as connection:
            for spelling in dict.fromkeys((address, address.lower())):
                if people := await registry.people_known(
                    connection, ref=None, hr_key=None, email=spelling
                ):
                    self._found[address] = people[0]["ref"]
                    return
        self._found[address] = None
