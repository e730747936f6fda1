"""The deployment's safe: a secret lies in it until the link to it is opened, once.

A link is 256 bits of chance. The database keeps a digest of it and the secret, sealed twice: under
a key that is made from the link, and under the key-encryption key. So neither the database, nor
the database with that key, nor the link alone shows anything. Opening takes the secret out, and
tells the audit log so, in one transaction: of two who press at once one sees it. An answer that
is lost on its way takes the secret with it; then another one is issued.
Source: connectors document, §8.1; product document, §6 (links).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, cast, runtime_checkable
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from newel.audit import catalogue as facts
from newel.audit.leaf import Actor
from newel.base.errors import DefinitionError, Invalid, NotFound
from newel.base.ids import parse_reference, reference
from newel.base.secrets import Secret
from newel.connectors.reveal_link import Kept
from newel.connectors.reveal_link import Safe as HandsOn
from newel.domain.change import Beside
from newel.domain.people import Person
from newel.engine.enduring import now_and_then
from newel.engine.operating import Operating, write_aside
from newel.store import received_secrets

__all__ = ["HandsOver", "LinkState", "Revealed", "Safe", "Seen"]

LinkState = Literal["waiting", "revealed", "replaced", "expired"]

_TOKEN_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LOOK_S: Final = 60.0
_ACTOR: Final = Actor(type="service", id="svc_link", via="link")
"""Whoever opens a link is not known to be the person that it was sent to."""


@runtime_checkable
class HandsOver(Protocol):
    """A connector that may hand over secrets through a safe."""

    def hand_over_through(self, safe: HandsOn) -> bool:
        """Put the safe behind its links; tells whether it has any."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a link is about, and what became of it. ended_at, as_of: aware."""

    state: LinkState
    account: str
    system: str
    expires_at: datetime
    ended_at: datetime | None
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A secret that was taken out; it is nowhere else any more."""

    secret: Secret
    account: str
    system: str


class Safe:
    """The secrets of one deployment that wait to be fetched."""

    def __init__(
        self, operating: Operating, connectors: Sequence[object], console_url: str | None
    ) -> None:
        """Stand behind the links of connectors. console_url: where people open newel."""
        self._operating = operating
        self._url = (console_url or "").rstrip("/")
        reached = [
            each.hand_over_through(self) for each in connectors if isinstance(each, HandsOver)
        ]
        self._is_used = any(reached)

    def check(self) -> None:
        """Raise DefinitionError if links are to be sent and nothing says where they lead."""
        if self._is_used and not self._url:
            raise DefinitionError(
                "A system hands over passwords by a link, and nothing says where newel is opened.",
                fix='set `console_url`, like `"https://newel.acme.example"`.',
            )

    async def keep(self, person: Person, secret: Secret, *, system: str, lasts: timedelta) -> Kept:
        """Keep a secret; the link of the one that waited, if any, shows nothing from now on.

        Raises Invalid for somebody who is not known. Durable when it returns. Locks: the person.
        """
        vault, id_ = self._operating.vault, self._operating.vault.ids().new()
        token = vault.entropy(_TOKEN_BYTES)
        nonce = vault.entropy(_NONCE_BYTES)
        inner = nonce + AESGCM(_key(token)).encrypt(nonce, secret.reveal().encode(), id_.bytes)
        async with self._operating.database.transaction() as connection:
            until = await received_secrets.keep(
                connection,
                id_=id_,
                person=_id_of(person),
                system=system,
                token_sha256=_digest(token),
                sealed=vault.sealed(inner, id_),
                lasts=lasts,
            )
            if until is None:
                raise Invalid("The person is not known to this deployment.")
        return Kept(id=str(id_), address=f"{self._url}/reveal/{_written(token)}", until=until)

    async def sent(self, kept: Kept) -> None:
        """Say that the link of a secret was sent."""
        await received_secrets.sent(self._operating.database, UUID(kept.id))

    async def has_missed(self, person: Person, *, system: str) -> bool:
        """Whether the person's latest link was not sent, or nobody opened it in time."""
        return await received_secrets.has_missed(
            self._operating.database, person=_id_of(person), system=system
        )

    async def seen(self, link: str) -> Seen:
        """Say what became of a link; changes nothing. Raises NotFound."""
        token = _token(link)
        row = await received_secrets.found(self._operating.database, _digest(token))
        if row is None:
            raise NotFound(kind="link", reference="of this address")
        is_over = row["state"] == "waiting" and row["expires_at"] <= row["as_of"]
        return Seen(
            state=cast("LinkState", "expired" if is_over else row["state"]),
            account=row["work_email"],
            system=row["title"],
            expires_at=row["expires_at"],
            ended_at=row["ended_at"],
            as_of=row["as_of"],
        )

    async def reveal(self, link: str) -> Revealed | None:
        """Take a secret out for whoever opens its link; None if it shows nothing any more.

        Raises NotFound for no link, LogInconsistent under another key-encryption key; then the
        secret stays. Durable when it returns.
        """
        seen, token = await self.seen(link), _token(link)
        operating = self._operating
        async with operating.database.transaction() as connection:
            row = await received_secrets.take(connection, _digest(token))
            if row is None:
                return None
            inner = operating.vault.opened(row["sealed"], row["id"])
            nonce, sealed = inner[:_NONCE_BYTES], inner[_NONCE_BYTES:]
            text = AESGCM(_key(token)).decrypt(nonce, sealed, row["id"].bytes)
            told = Beside(
                "admin",
                facts.DataRevealed(
                    fields=("first password",), purpose=f"hand over {row['system']}"
                ),
                row["ended_at"],
                _ACTOR,
                None,
                subject=reference("per", row["person"]),
            )
            change = await write_aside(
                connection,
                [told],
                id_=operating.vault.ids().new(),
                new_event_id=operating.new_event_id,
            )
        operating.tell(change)
        return Revealed(secret=Secret(text.decode()), account=seen.account, system=seen.system)

    async def watch(self, worker: Any) -> None:  # Any: whoever it works beside
        """Forget what nobody has fetched in time; where nothing is handed over, do nothing."""
        del worker
        if self._is_used:
            await now_and_then(self.expire, _LOOK_S)

    async def expire(self) -> None:
        """Forget what nobody has fetched in time."""
        await received_secrets.expire(self._operating.database)


def _id_of(person: Person) -> UUID:
    try:
        return parse_reference(person.ref)[1]
    except ValueError:
        raise Invalid("The person has no reference: only a run knows whom it is about.") from None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(b"newel reveal link\0" + token).digest()


def _key(token: bytes) -> bytes:
    return hashlib.sha256(b"newel reveal key\0" + token).digest()


def _written(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _token(link: str) -> bytes:
    """Read the last part of a link's address; raises NotFound for what cannot be one."""
    try:
        token = base64.b64decode(f"{link}=", altchars=b"-_", validate=True)
    except ValueError:
        token = b""
    if len(token) != _TOKEN_BYTES or _written(token) != link:
        raise NotFound(kind="link", reference="of this address")
    return token
