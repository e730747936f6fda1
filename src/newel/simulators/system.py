"""What every simulated system has: state, clock, credentials, faults, words to refuse with.

A system's module declares routes and handlers and says how the vendor refuses; how one request
travels through the stages is `exchange`, what can be controlled from outside is `admin` and `page`,
and `core` puts them together.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar

from .book import Call, CallBook
from .clock import SimulatedClock
from .faults import (
    ClockSkew,
    Down,
    Effect,
    Fault,
    FaultBook,
    Lag,
    Licences,
    Match,
    NotReady,
    Quota,
    RemoveScope,
    RevokeToken,
    Seats,
    Throttle,
)
from .quota import RateLimit, Spending
from .store import Change, Store
from .wire import Answer, Asked, Credential, Document, Route, routes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAct:
    """Something a person can do with what one row shows: an action with its arguments."""

    label: str
    action: str
    given: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One table of the page: its title, the column heads, the cells; newest rows first.

    acts: for each row what can be done with it; empty if nothing can be done with any.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    acts: Sequence[Sequence[RowAct]] = ()


def _text(ticket: Document) -> str:
    body: str = ticket["body"]
    return body


def ticket_panel(
    title: str,
    columns: Sequence[str],
    tickets: Sequence[Document],
    shown: Callable[[Document], str] = _text,
) -> Panel:
    """Show tickets by key, summary and status, with what is shown of each, and its comments."""
    return Panel(
        title=title,
        columns=(*columns, "Comments"),
        rows=[
            (t["key"], t["summary"], t["status"], shown(t), str(len(t["comments"])))
            for t in tickets
        ],
        acts=[_resolving(t) for t in tickets],
    )


def _resolving(ticket: Document) -> tuple[RowAct, ...]:
    """What a person can do with a ticket: resolve it, if it is open; by its key and status."""
    if ticket["status"] == "Done":
        return ()
    return (RowAct(label="Resolve", action="resolve_issue", given={"key": str(ticket["key"])}),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What can be used up: seats or licences; most: None where there is no limit."""

    what: str
    used: int
    most: int | None


Bought: TypeAlias = type[Seats] | type[Licences]
Action = TypeVar("Action", bound=Callable[..., object])


def action(method: Action) -> Action:
    """Mark a method as something a person in the simulated world can do, over the admin API too."""
    method.is_action = True  # type: ignore[attr-defined]  # read by actions()
    return method


class SimulatedSystem:
    """One stateful stand-in of one vendor, without its door to the network (see `core`)."""

    system: ClassVar[str]
    title: ClassVar[str]
    routes: ClassVar[tuple[Route, ...]] = ()
    rate_limits: ClassVar[tuple[RateLimit, ...]] = ()
    """What the vendor lets a credential do, as its documents say; kept under a `Quota` fault."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.routes = routes_of(cls)

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: SimulatedClock | None = None,
        page_size: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Make the system as the demo company has it.

        page_size: the longest page of any listing, whatever the caller asks; None: the vendor's.
        sleep: what waits for a latency; a test passes one that moves its clock instead.
        """
        self.seed = seed
        self.clock = clock or SimulatedClock()
        self.page_size = page_size
        self.sleep = sleep
        self.store = Store(system=self.system, seed=seed, clock=self.clock)
        self.book = CallBook()
        self.forget()
        self.state_file: Path | None = None
        self.populate()
        self._first_state = self.store.snapshot()

    # What a vendor's module says ---------------------------------------------------------------

    def populate(self) -> None:
        """Fill the new system: organization, settings, credentials."""
        raise NotImplementedError

    def authenticated(self, asked: Asked) -> Credential:
        """Find the credential of a request. Raises Refused in the vendor's words."""
        raise NotImplementedError

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Say in the vendor's words that the credential may not do this."""
        raise NotImplementedError

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the vendor's own envelope for an error name or a status."""
        raise NotImplementedError

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Say "too many requests" in the vendor's dialect."""
        raise NotImplementedError

    def accounts(self) -> list[Document]:
        """List all accounts: at least id, email, handle, state, marker."""
        raise NotImplementedError

    def panels(self) -> list[Panel]:
        """Give what the page shows of this system."""
        raise NotImplementedError

    def capacity(self) -> list[Capacity]:
        """Give what can be used up, as the page shows it; by default nothing."""
        return []

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give the secrets and settings a connector needs, by the names environments use."""
        raise NotImplementedError

    def expired(self, asked: Asked) -> Answer:
        """Say that the credential has expired; by default as any other refused credential."""
        return self.error("401", asked=asked)

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Say that the body cannot be read; by default the vendor's error 400."""
        del reason
        return self.error("400", asked=asked)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add what the vendor puts on every answer; by default nothing."""
        del asked, sequence
        return answer

    def forget(self) -> None:
        """Make the faults new, and forget what was spent of limits: all that no snapshot holds."""
        self.faults = FaultBook(seed=self.seed)
        self._spending = Spending()

    def tick(self) -> None:
        """Let what time alone changes happen (expiry of invitations); by default nothing."""

    # What tests and demos use ------------------------------------------------------------------

    def fail(
        self,
        operation: str,
        effect: Effect,
        *,
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
        contains: str = "",
        identity: str | None = None,
    ) -> Fault:
        """Put a fault into force for an operation (patterns allowed) and give the rule."""
        return self.faults.add(
            Fault(
                id=identity or self.faults.fresh_id(),
                effect=effect,
                match=Match(operation=operation, contains=contains),
                times=times,
                after=after,
                probability=probability,
            )
        )

    def down(self) -> Fault:
        """Take the whole system down until `heal`."""
        return self.fail("*", Down(), identity="down")

    def heal(self) -> None:
        """Take all faults out of force."""
        self.faults.clear()

    def calls(
        self,
        operation: str = "*",
        *,
        mutating: bool | None = None,
        committed: bool | None = None,
        since: int = 0,
    ) -> list[Call]:
        """List the calls in the book; see `CallBook.calls`."""
        return self.book.calls(operation, mutating=mutating, committed=committed, since=since)

    def mutations(self) -> list[Call]:
        """List the mutating requests, committed and refused."""
        return self.book.calls(mutating=True)

    def history(self, key: str) -> list[Change]:
        """List every change of the documents stored under this key, with its time, oldest first."""
        return [change for change in self.store.changes if change.key == key]

    def assert_exactly_once(self, natural_key: str) -> Call:
        """Give the one call that created this thing; raises AssertionError otherwise."""
        return self.book.assert_exactly_once(natural_key)

    def actions(self) -> dict[str, Callable[..., object]]:
        """Give what people in the simulated world can do, by name."""
        found = {name: getattr(self, name) for name in dir(type(self)) if not name.startswith("_")}
        return {name: each for name, each in found.items() if hasattr(each, "is_action")}

    # What vendors' modules use -----------------------------------------------------------------

    def grant(
        self, label: str, secret: str, scopes: Sequence[str], *, subject: str = "", for_s: int = 0
    ) -> str:
        """Make a credential known, for so many seconds or (0) for ever; gives the secret back."""
        until = (self.now() + timedelta(seconds=for_s)).isoformat() if for_s else None
        document = {"label": label, "scopes": sorted(scopes), "subject": subject, "until": until}
        self.store.put("credentials", secret, document)
        return secret

    def known_credential(self, secret: str) -> Credential | None:
        """Give the credential of this secret unless unknown, expired, or revoked by a fault."""
        document = self.store.find("credentials", secret)
        now = self.clock.now()
        if document is None:
            return None
        if document["until"] and datetime.fromisoformat(document["until"]) <= self.now():
            return None
        label = document["label"]
        if self.is_revoked(label):
            return None
        removed = {
            effect.scope
            for fault, effect in self.faults.conditions(RemoveScope, now)
            if fault.match.credential in ("*", label)
        }
        return Credential(
            label=label,
            secret=secret,
            scopes=frozenset(document["scopes"]) - removed,
            subject=document["subject"],
        )

    def now(self) -> datetime:
        """Give what the vendor's own clock reads, which may be wrong."""
        skews = self.faults.conditions(ClockSkew, self.clock.now())
        return self.clock.now() + timedelta(seconds=sum(effect.seconds for _, effect in skews))

    def is_revoked(self, label: str) -> bool:
        """Say whether a fault has revoked the credential of this label."""
        revoked = self.faults.conditions(RevokeToken, self.clock.now())
        return any(fault.match.credential in ("*", label) for fault, _ in revoked)

    def lag(self, view: str) -> timedelta:
        """Give how far this read view trails behind."""
        lags = self.faults.conditions(Lag, self.clock.now())
        return timedelta(seconds=max((e.seconds for _, e in lags if e.view == view), default=0))

    def is_unready(self, created: datetime) -> bool:
        """Say whether something created then cannot be worked with yet."""
        waits = self.faults.conditions(NotReady, self.clock.now())
        age = (self.clock.now() - created).total_seconds()
        return any(age < effect.seconds for _, effect in waits)

    def over_quota(self, asked: Asked, route: Route) -> Answer | None:
        """Refuse a request beyond the vendor's limits, while they hold; else count it."""
        label, now = asked.credential.label, self.clock.now()
        for fault, _ in self.faults.conditions(Quota, now):
            if not fault.match.fits(asked, route.operation, label):
                continue
            over = self._spending.spend(
                self.rate_limits, route.operation, label, now, mutating=route.mutating
            )
            if over is not None:
                self.faults.use(fault)
                return self.throttled(Throttle(over.wait, over.limit.style), asked=asked)
        return None

    def spent(self, asked: Asked) -> float:
        """Say how much of its tightest limit the credential has used, 0 to 1, while limits hold."""
        now = self.clock.now()
        if not any(True for _ in self.faults.conditions(Quota, now)):
            return 0.0
        return self._spending.share(asked.credential.label, now)

    def take_seat(
        self, *, used: int, seats: int | None, bought: tuple[Bought, ...] = (Seats,)
    ) -> bool:
        """Say whether one more seat can be had, and count it against the faults that limit them.

        used, seats: seats in use and bought; None: as many as one likes. bought: how they are
        sold, which is what faults limit: as seats, as licences, or either name for the same.
        """
        if self.seats_left(used=used, seats=seats, bought=bought) == 0:
            return False
        for fault, _ in self._limiting(bought):
            self.faults.use(fault)
        return True

    def _limiting(self, bought: tuple[Bought, ...]) -> list[tuple[Fault, Seats | Licences]]:
        now = self.clock.now()
        return [each for kind in bought for each in self.faults.conditions(kind, now)]

    def seats_left(
        self, *, used: int, seats: int | None, bought: tuple[Bought, ...] = (Seats,)
    ) -> int | None:
        """Count the seats that can still be had, as `take_seat`; None: as many as one likes."""
        left = [effect.left - fault.hits for fault, effect in self._limiting(bought)]
        if seats is not None:
            left.append(seats - used)
        return max(0, min(left)) if left else None

    def page(self, asked_size: int, *, largest: int) -> int:
        """Give the length of a page: as asked, at most the vendor's largest and our own cap."""
        return max(1, min(asked_size, largest, self.page_size or largest))

    def unknown_route(self, asked: Asked) -> Answer:
        """Say that this simulator does not have the path: never a 404, which means "absent"."""
        known = sorted({each.template for each in self.routes})
        text = f"The {self.system} simulator has no {asked.method} {asked.path}."
        return Answer(501, {"simulator": self.system, "message": text, "known": known})

    def wrong_method(self, asked: Asked, allowed: Sequence[str]) -> Answer:
        """Refuse a method the vendor does not have at this path."""
        return Answer(
            405,
            {"message": f"{asked.method} is not allowed for {asked.path}"},
            {"Allow": ", ".join(allowed)},
        )

    # State -------------------------------------------------------------------------------------

    def snapshot(self) -> Document:
        """Give everything worth keeping as one JSON document: state, book of calls, faults."""
        return {
            "system": self.system,
            "store": self.store.snapshot(),
            "book": self.book.snapshot(),
            "faults": self.faults.snapshot(),
        }

    def load(self, snapshot: Document) -> None:
        """Replace everything by a snapshot. Raises ValueError for another system's."""
        self.store.load(snapshot["store"])
        self.book.load(snapshot["book"])
        self.forget()
        self.faults.load(snapshot["faults"])

    def reset(self) -> None:
        """Go back to the newly made system: no calls, no faults; the clock stays as it is."""
        self.store.load(self._first_state)
        self.book.clear()
        self.forget()
        self.save()

    def keep_in(self, file: Path) -> None:
        """Load the state from this file if it exists, and keep it there from now on."""
        self.state_file = file
        if file.exists():
            self.load(json.loads(file.read_text(encoding="utf-8")))

    def save(self) -> None:
        """Write the state to its file, if it has one; the file is whole at every moment."""
        if self.state_file is None:
            return
        fresh = self.state_file.with_suffix(".new")
        fresh.write_text(json.dumps(self.snapshot()), encoding="utf-8")
        fresh.replace(self.state_file)
