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
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from newel.base.errors import DefinitionError
from newel.domain.keys import checked_name
from newel.flow.act import declaring_module
from newel.flow.process import Request
from newel.flow.waits import Sending

__all__ = ["Arrived", "Delivery", "Hook", "Reaction", "Verifier", "hook"]

Reaction: TypeAlias = Request[Any] | Sending[Any]  # Any: of any process, of any event
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
    """A source of deliveries, and what they lead to; made by `@hook` in the module `place`."""

    name: str
    verifier: Verifier
    reacting: Reacting
    place: str = ""

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


def hook(*, signed: Verifier, name: str | None = None) -> Callable[[Reacting], Hook]:
    """Declare where deliveries come from: `POST /hooks/NAME`, signed as `signed` says.

    name: of the source for ever; by default the function's.
    """
    place = declaring_module()

    def declared(reacting: Reacting) -> Hook:
        chosen = checked_name(name or str(getattr(reacting, "__name__", "")))
        return Hook(name=chosen, verifier=signed, reacting=reacting, place=place)

    return declared
