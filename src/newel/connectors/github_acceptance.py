"""Whether who was invited to a GitHub organization has come: by hand, within seven days.

Many wait at the same time and ask again and again, so what is open is read once for all of them.
Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Literal

from newel.connectors.ensure import Ensured
from newel.connectors.github_base import NEEDS_READ
from newel.connectors.github_contract import INVITATION_LISTS, INVITATIONS, MEMBERSHIP, READ
from newel.connectors.github_members import GitHubMembers, over
from newel.connectors.operation import operation
from newel.domain.people import Person

__all__ = ["GitHubAcceptance"]

Standing = Literal["open", "active", "over"]

_LISTING_LASTS: Final = timedelta(seconds=60)


class GitHubAcceptance(GitHubMembers):
    """What became of the organization's invitations of users."""

    _listing: tuple[datetime | None, frozenset[str]] = (None, frozenset())
    _lister: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def forget(self) -> None:
        """Drop the listing of invitations."""
        self._listing = (None, frozenset())

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=(NEEDS_READ,),
        reads=(INVITATIONS.operation, MEMBERSHIP.operation),
        natural_key="org/{username}",
        bucket=READ,
        title="See whether the GitHub invitation is accepted",
    )
    async def accepted(self, person: Person, username: str) -> bool:
        """Say whether they are an active member by now.

        Raises Forbidden(blocked) if the invitation is gone: it lasts seven days, or was declined.
        """
        state = await self._state(person, username)
        if state == "over":
            raise over(MEMBERSHIP.operation)
        return state == "active"

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=(NEEDS_READ,),
        reads=(INVITATIONS.operation, MEMBERSHIP.operation),
        natural_key="org/{username}",
        bucket=READ,
        title="See what became of the GitHub invitation",
    )
    async def standing(self, person: Person, username: str) -> Standing:
        """Say what became of their invitation; `over`: it has expired, or was declined.

        For processes that invite again by themselves; `accepted` leaves that to a person.
        """
        return await self._state(person, username)

    async def _state(self, person: Person, username: str) -> Standing:
        """Look at the open invitations, all at once for everybody who waits, then at the person."""
        if username.lower() in await self._pending():
            return "open"
        own = await self._own(person, username)
        if own is None:
            return "over"
        if own.value.state != "active":
            return "open"
        account = self._account(username, own.value)
        self.reported(Ensured(own, changed=True, evidence="accepted by the person"), account)
        return "active"

    async def _pending(self) -> frozenset[str]:
        """Give the users with an open invitation, as they were within the last minute.

        Thirty people who wait cost one listing, not thirty look-ups; who accepts is seen a
        minute later at most.
        """
        async with self._turn():
            now = self.clock.now()
            read_at, logins = self._listing
            if read_at is None or not timedelta(0) <= now - read_at < _LISTING_LASTS:
                path = {"org": self.org}
                found = [each async for each in self.listed(INVITATIONS, INVITATION_LISTS, path)]
                logins = frozenset(each.login.lower() for each in found if each.login)
                self._listing = (now, logins)
            return logins

    def _turn(self) -> asyncio.Lock:
        """Give the lock of this event loop: who comes second finds what the first has read."""
        loop = asyncio.get_running_loop()
        if self._lister is None or self._lister[0] is not loop:
            self._lister = (loop, asyncio.Lock())
        return self._lister[1]
