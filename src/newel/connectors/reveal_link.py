"""Handing a first password to its person: by a link that shows it once.

The password itself is in no mail. It lies in the deployment's safe until somebody presses the
button behind the link, or the link's time is over, and nowhere else: not in the outcome of the
step, not in a log, not in a ticket. A link that is sent later ends the one before.
Source: connectors document, §8.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from newel.base.errors import DefinitionError, Forbidden, Invalid
from newel.base.secrets import Secret, SecretRef
from newel.connectors.post import Post, checked_address, is_address
from newel.domain.people import Person

__all__ = ["Kept", "RevealLink", "Safe", "reveal_link"]

_LASTS: Final = timedelta(hours=72)
_LONGEST: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A secret that waits for its person. id: names the link in messages; until: its end, aware."""

    id: str
    address: str = field(repr=False)
    until: datetime


class Safe(Protocol):
    """Where secrets wait for their persons; the deployment has one."""

    async def keep(self, person: Person, secret: Secret, *, system: str, lasts: timedelta) -> Kept:
        """Keep a secret, in place of the one of that system that may be waiting."""
        ...

    async def sent(self, kept: Kept) -> None:
        """Say that the link of a secret was sent."""
        ...

    async def has_missed(self, person: Person, *, system: str) -> bool:
        """Whether the person's latest link was not sent, or nobody opened it in time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealLink:
    """Hands over secrets by mail, each as a link that shows it once; made by `reveal_link(…)`."""

    to: Callable[[Person], str | None]
    post: Post
    lasts: timedelta
    safe: Safe | None = field(default=None, repr=False)
    system: str = ""
    title: str = ""

    def through(self, safe: Safe, *, system: str, title: str) -> RevealLink:
        """Give the same for one system, with the deployment's safe behind it."""
        return replace(self, safe=safe, system=system, title=title)

    async def __call__(self, person: Person, secret: Secret) -> str:
        """Keep the secret and mail the link; answers with the id of the message.

        Raises Forbidden without a safe, Invalid for a person who cannot be written to, and what
        sending a mail raises.
        """
        safe, to = self._ready(person)
        kept = await safe.keep(person, secret, system=self.system, lasts=self.lasts)
        name = self.post.message_id(f"reveal {kept.id}")
        subject = f"Your first password for {self.title}"
        await self.post.send(self.post.message(to, subject, self._letter(person, kept), name))
        await safe.sent(kept)
        return name

    async def has_missed(self, person: Person) -> bool:
        """Whether this person's latest link was not sent, or nobody opened it in time."""
        safe, _ = self._ready(person)
        return await safe.has_missed(person, system=self.system)

    def check(self, person: Person) -> None:
        """Raise what `__call__` would before it does anything."""
        self._ready(person)

    def _ready(self, person: Person) -> tuple[Safe, str]:
        if self.safe is None:
            raise Forbidden(
                "A password can be handed over by a link only in a deployment: this connector "
                "is used without one.",
                reason="blocked",
            )
        to = self.to(person)
        if to is None or not is_address(to):
            # The text is not quoted: it may be somebody's private address.
            raise Invalid("The person has no private mail address that could be written to.")
        return self.safe, to

    def _letter(self, person: Person, kept: Kept) -> str:
        hours = round(self.lasts / timedelta(hours=1))
        return (
            f"Your account for {self.title} is {person.email}.\n\n"
            f"This link shows your first password once, within {hours} hours:\n{kept.address}\n\n"
            "Open it where you are about to sign in. You will then be asked for a password of "
            "your own.\nIf the link says that the password was shown and it was not you who saw "
            "it, tell the company at once.\n"
        )


def reveal_link(
    *,
    to: Callable[[Person], str | None],
    sender: str,
    host: str,
    port: int = 587,
    user: str | None = None,
    password: SecretRef | None = None,
    lasts: timedelta = _LASTS,
) -> RevealLink:
    """Hand over first passwords by a link in a mail: `deliver=reveal_link(…)`.

    to: gives the private address of a person. sender, host, port, user, password: as of `mail`.
    lasts: how long the link can be opened, at most 14 days. Raises DefinitionError for a sender
    that is no address and for another length of time.
    """
    if not timedelta(0) < lasts <= _LONGEST:
        raise DefinitionError(
            "A link that shows a password lasts for at most 14 days.", fix="`lasts=hours(72)`."
        )
    post = Post(
        sender=checked_address("reveal_link()", sender),
        host=host,
        port=port,
        user=user,
        password=password,
    )
    return RevealLink(to=to, post=post, lasts=lasts)
