"""Google Workspace: the work address, reserved before the first account is made anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from newel.connectors.base import Holding
from newel.connectors.google_base import GoogleBase
from newel.connectors.google_contract import DIRECTORY, GET_USER, USER_SCOPE
from newel.connectors.operation import operation
from newel.connectors.reserving import Address, reserved, without_a_book
from newel.domain.people import Person

__all__ = ["GoogleAddress"]

_ALL_SYSTEMS: Final = timedelta(seconds=60)


class GoogleAddress(GoogleBase):
    """One Google Workspace customer, which gives people their addresses."""

    @operation(
        idempotency="read",
        natural_key="address/{person.ref}",
        needs=(USER_SCOPE,),
        reads=(GET_USER.operation,),
        bucket=DIRECTORY,
        timeout=_ALL_SYSTEMS,
        title="Reserve the work address",
    )
    async def reserve_address(self, person: Person) -> Address:
        """Give them an address for all time: `jane.doe`, or with the first number that is free.

        Free is what newel has never given to anybody else and no system that the process calls
        knows. It comes before anything is made, and changes nothing in any system. Whoever comes
        with an address gets just this one, or a person decides.
        """
        if self._book is None:
            raise without_a_book()
        return await reserved(self, person, domain=self.domain, book=self._book)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the account at a work address; aliases count."""
        found = await self._user(person)
        if found is None:
            return None
        return Holding(account=self._account(found), marker=found.marker)
