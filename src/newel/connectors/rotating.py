"""Tokens that are renewed with a refresh token that serves once.

Each renewal spends the refresh token and brings the next, so what came last must not be lost, and
two workers must not spend the same one: the second would be locked out, and often the first with
it. So the deployment keeps what it was given, sealed, and whoever renews holds its row. Whoever
comes second finds what the first was given. The operator's reference is where it begins: when
other bytes stand there, somebody has authorised newel anew, and what was kept counts no more.

    no token, or it ends within a minute, or it was refused
      -> wait for the turn -> is a newer one kept? take it : spend, keep, give the turn away

A worker that dies between spending and keeping takes the next refresh token with it. The next
worker asks with the one that is kept: if the system refuses it, a person has to authorise anew.
Source: connectors document, §8.1, §8.2, §16.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from newel.base.errors import AuthFailed, Transient
from newel.base.secrets import Secret, SecretRef
from newel.connectors.auth import EARLY, revealed

if TYPE_CHECKING:
    from newel.connectors.http import Http

__all__ = ["Keeper", "Kept", "Renewal", "Renewed", "RotatingCredential", "Turn"]

_LONGEST_S: Final = 10.0
"""So long a turn is held: the database ends transactions that wait for longer than 15 s."""

_LASTS: Final = timedelta(hours=1)
"""How long a token lasts where the system does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """With what a token is renewed: the application's id and secret, and a refresh token.

    refresh_token: the one that authorising the application gave; it serves once, at the beginning.
    """

    client_id: str
    client_secret: SecretRef
    refresh_token: SecretRef


@dataclass(frozen=True)
class Renewed:
    """What a token endpoint gives; without another refresh token the old one serves on."""

    access_token: str
    refresh_token: str = ""
    expires_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the last renewal gave. origin: a digest of the refresh token that it began with."""

    origin: str
    refresh: Secret
    access: Secret
    expires_at: datetime


class Turn(Protocol):
    """The turn of whoever renews: nobody else does so before it is over."""

    @property
    def kept(self) -> Kept | None:
        """What was kept last; None if nothing was."""
        ...

    async def keep(self, kept: Kept) -> None:
        """Keep this instead; durable when the turn is over."""
        ...


class Keeper(Protocol):
    """Whoever keeps the tokens of a deployment."""

    def turn(self, credential: str) -> AbstractAsyncContextManager[Turn]:
        """Wait for the turn at a credential, and hold it; raises Transient if that takes long."""
        ...


class RotatingCredential:
    """A bearer token that is renewed, by one worker at a time, with a refresh token."""

    def __init__(
        self, renewal: Renewal, exchange: Callable[[Http, Renewal, Secret], Awaitable[Renewed]]
    ) -> None:
        """Take the references; exchange: spends a refresh token at the token endpoint."""
        self._renewal = renewal
        self._exchange = exchange
        self._current: Kept | None = None
        self._refused: Secret | None = None
        self._unkept: tuple[Secret, Kept] | None = None
        self._under_way: set[asyncio.Task[Kept]] = set()
        self._keeper: Keeper | None = None
        self._name = ""

    def keep_in(self, keeper: Keeper, credential: str) -> None:
        """Let a deployment keep what is given; a new one knows better what that is."""
        self._keeper, self._name = keeper, credential
        self._current = self._unkept = None

    def renew(self) -> bool:
        """Use this token no more: the next request takes a newer one, or spends for one."""
        self._refused = None if self._current is None else self._current.access
        self._current = None
        return True

    async def headers(self, http: Http) -> Mapping[str, str]:
        """Give the header, renewing a token that does not last another minute.

        Raises AuthFailed if the system refuses the refresh token, or if nobody keeps the next.
        """
        found = self._current
        if found is None or found.expires_at - EARLY <= http.now() or self._unkept is not None:
            # An attempt may be cut off meanwhile; what is given then is kept all the same.
            renewing = asyncio.create_task(self._renewed(http))
            self._under_way.add(renewing)
            renewing.add_done_callback(self._under_way.discard)
            found = await asyncio.shield(renewing)
        return {"Authorization": f"Bearer {found.access.reveal()}"}

    async def _renewed(self, http: Http) -> Kept:
        if self._keeper is None:
            raise AuthFailed(
                "A refresh token that serves once is spent by a deployment only, which can keep "
                "the next one; nothing was sent."
            )
        first = await revealed(self._renewal.refresh_token)
        origin = hashlib.sha256(first.reveal().encode()).hexdigest()
        async with self._keeper.turn(self._name) as turn:
            latest = turn.kept
            if latest is not None and latest.origin != origin:
                latest = None
            at_hand = first if latest is None else latest.refresh
            if self._unkept is not None and self._unkept[0] == at_hand:
                latest = self._unkept[1]  # the database was away when it was given
                await turn.keep(latest)
            if latest is None or not self._serves(latest, http.now()):
                spent = first if latest is None else latest.refresh
                latest = await self._spent(http, spent, origin)
                self._unkept = spent, latest
                await turn.keep(latest)
        self._unkept, self._current = None, latest
        return latest

    def _serves(self, kept: Kept, now: datetime) -> bool:
        return kept.access != self._refused and kept.expires_at - EARLY > now

    async def _spent(self, http: Http, refresh: Secret, origin: str) -> Kept:
        try:
            async with asyncio.timeout(_LONGEST_S):
                granted = await self._exchange(http, self._renewal, refresh)
        except TimeoutError as late:
            raise Transient("The token was not renewed in time") from late
        lasts = _LASTS if granted.expires_in is None else timedelta(seconds=granted.expires_in)
        return Kept(
            origin=origin,
            refresh=Secret(granted.refresh_token) if granted.refresh_token else refresh,
            access=Secret(granted.access_token),
            expires_at=http.now() + lasts,
        )
