"""`@hook`: what a signed delivery from another system starts, or whom it tells.

    @hook(signed=StandardWebhooks(SecretRef("env:PAYROLL_SECRET")))
    def payroll(delivery: Delivery) -> Sending[Paid] | None:
        ...

The function is pure: it reads the delivery and says what should happen. Whether the delivery is
genuine and new is decided before it is asked, and what it says is written in the transaction
that keeps the delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from newel.base.errors import DefinitionError
from newel.domain.keys import checked_name
from newel.flow.act import declaring_module
from newel.flow.process import Request
from newel.flow.waits import Sending

__all__ = ["Arrived", "Delivery", "Hook", "Reaction", "Verifier", "check_silence", "hook"]

Reaction: TypeAlias = Request[Any] | Sending[Any]  # Any: of any process, of any event
_SHORTEST_SILENCE: Final = timedelta(hours=1)
Reacting: TypeAlias = Callable[["Delivery"], Reaction | Iterable[Reaction] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A delivery that is proven to come from its source.

    id: the sender's own, the same in every attempt; None where it has none, and the content names
    it. reply: what the sender wants to hear at once; such a delivery asks for nothing else.
    """

    id: str | None
    reply: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a reaction is shown. document: the body as JSON data. at: when it first came."""

    source: str
    id: str
    at: datetime
    document: Any  # Any: JSON, of the sender's shape


class Verifier(Protocol):
    """How a source proves that a delivery is its own."""

    def verified(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, source: str
    ) -> Arrived:
        """Judge the bytes as they came. headers: names in lower case.

        Raises SignatureInvalid, AuthFailed if none of the secrets can be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A source of deliveries, and what they lead to; made by `@hook` in the module `place`.

    silent_after: how long it is never silent; None: nobody knows. owner: the team that is asked
    then. also: other names under which the source is heard.
    """

    name: str
    verifier: Verifier
    reacting: Reacting
    place: str = ""
    silent_after: timedelta | None = None
    owner: str = "it"
    also: tuple[str, ...] = ()

    @property
    def heard_in(self) -> tuple[str, ...]:
        """All names under which the source is heard."""
        return (self.name, *self.also)

    def reactions(self, delivery: Delivery) -> tuple[Reaction, ...]:
        """Ask the company's function; raises DefinitionError for an answer that is nothing."""
        found = self.reacting(delivery)
        if found is None:
            return ()
        listed: tuple[Any, ...] = (  # Any: not looked at yet
            (found,) if isinstance(found, Request | Sending) else tuple(found)
        )
        for each in listed:
            if not isinstance(each, Request | Sending):
                raise DefinitionError(
                    f"The hook `{self.name}` answered with `{type(each).__name__}`.",
                    fix="`my_process.request(…)`, `my_event.message(…, match=…)`, or a list of "
                    "such.",
                    code="F711",
                )
        return listed


def hook(
    *,
    signed: Verifier,
    name: str | None = None,
    silent_after: timedelta | None = None,
    owner: str = "it",
) -> Callable[[Reacting], Hook]:
    """Declare where deliveries come from: `POST /hooks/NAME`, signed as `signed` says.

    name: of the source for ever; by default the function's. silent_after: when nothing came for so
    long, the team `owner` gets a task; by default silence is nothing wrong. Raises DefinitionError.
    """
    place = declaring_module()
    check_silence(silent_after)

    def declared(reacting: Reacting) -> Hook:
        chosen = checked_name(name or str(getattr(reacting, "__name__", "")))
        return Hook(
            name=chosen,
            verifier=signed,
            reacting=reacting,
            place=place,
            silent_after=silent_after,
            owner=owner,
        )

    return declared


def check_silence(silent_after: timedelta | None) -> None:
    """Refuse a silence that a source could not be given; raises DefinitionError (F711)."""
    if silent_after is not None and silent_after < _SHORTEST_SILENCE:
        raise DefinitionError(
            f"`silent_after={silent_after}` is no silence: a source is looked at once a minute.",
            fix="an hour or more, such as `silent_after=days(7)`; `None` for no alarm.",
            code="F711",
        )
