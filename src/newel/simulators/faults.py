"""What can go wrong, as rules that are switched on and off while the system runs.

A rule says which requests it strikes (`match`, `times`, `after`, `probability`, `begins`, `ends`)
and what happens to them (`effect`). Effects are of two sorts:

- *strikes* decide what becomes of one request: the first rule that matches wins, the others wait;
- *conditions* describe the world for as long as their rule stands (slow, lagging, no seats, a
  revoked token) and act together with each other and with strikes.

Rules have the same form from Python, over the admin API and in snapshots.
Source: connectors document, §21.3.
"""

from __future__ import annotations

import fnmatch
import math
import random
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar, get_args

from .clock import moment_from
from .wire import Asked, Document


@dataclass(frozen=True, slots=True)
class Down:
    """Nobody is there: the connection is reset before a byte is answered."""


@dataclass(frozen=True, slots=True)
class ResetBefore:
    """The request is read, nothing is committed, the connection is cut."""


@dataclass(frozen=True, slots=True)
class LoseResponse:
    """The request is committed, then the connection is cut without a byte."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The request is committed; status, headers and half of the body arrive, then nothing."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing is committed and nothing is ever answered; the client's timeout decides."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status, body and headers; nothing is committed. Text bodies go as HTML."""

    status: int = 503
    body: Any = None  # Any: any JSON value, or text
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Answer with a web page, as in a maintenance window; nothing is committed."""

    status: int = 503
    text: str = "We are down for maintenance."


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the caller elsewhere; nothing is committed."""

    location: str = "https://elsewhere.example/sign-in"
    status: int = 302


@dataclass(frozen=True, slots=True)
class Gone:
    """Say in the vendor's envelope that the route is no more: 410; nothing is committed."""


@dataclass(frozen=True, slots=True)
class VendorError:
    """Answer with the vendor's own error of this name or status; nothing is committed."""

    code: str


@dataclass(frozen=True, slots=True)
class Throttle:
    """Say "too many requests" in the vendor's dialect; nothing is committed.

    retry_after: seconds; None where the vendor would not say.
    style: a variant of the dialect, where a vendor has several (the system's module names them).
    """

    retry_after: int | None = 30
    style: str = ""


@dataclass(frozen=True, slots=True)
class ExpireToken:
    """Refuse the credential of this request as expired; nothing is committed."""


@dataclass(frozen=True, slots=True)
class DropField:
    """Commit, then leave a field out of the answer; path: names and list positions, by dots."""

    path: str


@dataclass(frozen=True, slots=True)
class RetypeField:
    """Commit, then send a field as another type: a number as text, the rest in a list."""

    path: str


@dataclass(frozen=True, slots=True)
class AddField:
    """Commit, then add a field to the answer."""

    path: str
    value: Any = "unexpected"  # Any: any JSON value


@dataclass(frozen=True, slots=True)
class Deprecate:
    """Commit, then say in headers that the operation is deprecated, and when it ends."""

    since: str = "@1767225600"
    ends: str = "Fri, 01 Jan 2027 00:00:00 GMT"
    warning: str = "Use the successor"


@dataclass(frozen=True, slots=True)
class RenameField:
    """Commit, then send a field of the answer under another name."""

    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Answer late: `fixed_ms`, evenly `low_ms`..`high_ms`, or log-normal by `p50_ms`, `p99_ms`."""

    fixed_ms: float = 0
    low_ms: float = 0
    high_ms: float = 0
    p50_ms: float = 0
    p99_ms: float = 0

    def drawn(self, chance: random.Random) -> float:
        """Draw one delay, in seconds."""
        if self.p50_ms:
            # The 99th percentile of a normal distribution lies 2.3263 deviations above its middle.
            deviation = math.log(max(self.p99_ms, self.p50_ms) / self.p50_ms) / 2.3263
            return chance.lognormvariate(math.log(self.p50_ms), deviation) / 1000
        if self.high_ms:
            return chance.uniform(self.low_ms, self.high_ms) / 1000
        return self.fixed_ms / 1000


@dataclass(frozen=True, slots=True)
class Lag:
    """A named read view sees commits this late; the system's module names its views."""

    view: str
    seconds: float


@dataclass(frozen=True, slots=True)
class NotReady:
    """What was created less than this long ago cannot be worked with yet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Seats:
    """So many licences are left from now on."""

    left: int


@dataclass(frozen=True, slots=True)
class Licences:
    """So many licences that are given beside an account are left from now on."""

    left: int


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """The vendor's clock is so many seconds ahead (negative: behind), as `Date` and tokens show."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Quota:
    """The vendor's own limits hold; each request beyond them is a hit of the rule."""


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """The matching credential is refused for as long as the rule stands."""


@dataclass(frozen=True, slots=True)
class RemoveScope:
    """The matching credential lacks this scope for as long as the rule stands."""

    scope: str


@dataclass(frozen=True, slots=True)
class WebhookDuplicate:
    """Every event is delivered so many times."""

    times: int = 2


@dataclass(frozen=True, slots=True)
class WebhookDelay:
    """Events are delivered this much later than they happen."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WebhookReorder:
    """Events that are due together are delivered newest first."""


@dataclass(frozen=True, slots=True)
class WebhookDrop:
    """Events are lost on their way."""


Strike: TypeAlias = (
    Down
    | ResetBefore
    | LoseResponse
    | Truncate
    | Hang
    | Status
    | HtmlPage
    | Redirect
    | Gone
    | VendorError
    | Throttle
    | ExpireToken
    | DropField
    | RetypeField
    | AddField
    | RenameField
    | Deprecate
)
Condition: TypeAlias = (
    Latency
    | Lag
    | NotReady
    | Seats
    | Licences
    | Quota
    | RevokeToken
    | RemoveScope
    | ClockSkew
    | WebhookDuplicate
    | WebhookDelay
    | WebhookReorder
    | WebhookDrop
)
Effect: TypeAlias = Strike | Condition

KINDS: dict[str, type[Effect]] = {
    "down": Down,
    "reset_before": ResetBefore,
    "lose_response": LoseResponse,
    "truncate": Truncate,
    "hang": Hang,
    "status": Status,
    "html_page": HtmlPage,
    "redirect": Redirect,
    "gone": Gone,
    "vendor_error": VendorError,
    "throttle": Throttle,
    "expire_token": ExpireToken,
    "drop_field": DropField,
    "retype_field": RetypeField,
    "add_field": AddField,
    "rename_field": RenameField,
    "deprecation_header": Deprecate,
    "latency": Latency,
    "lag": Lag,
    "not_ready": NotReady,
    "seats": Seats,
    "licences": Licences,
    "quota": Quota,
    "revoke_token": RevokeToken,
    "remove_scope": RemoveScope,
    "clock_skew": ClockSkew,
    "webhook_duplicate": WebhookDuplicate,
    "webhook_delay": WebhookDelay,
    "webhook_reorder": WebhookReorder,
    "webhook_drop": WebhookDrop,
}
_NAMES = {effect: name for name, effect in KINDS.items()}
_CONDITIONS = get_args(Condition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a rule strikes; an empty match strikes all.

    operation: operation id, "*" and "?" allowed. method: HTTP method.
    path: path template or pattern.
    credential: label. contains: text that must occur in path, query or body.
    """

    operation: str = "*"
    method: str = "*"
    path: str = "*"
    credential: str = "*"
    contains: str = ""

    def fits(self, asked: Asked, operation: str, credential: str) -> bool:
        """Say whether this request is meant."""
        return (
            fnmatch.fnmatchcase(operation, self.operation)
            and fnmatch.fnmatchcase(asked.method, self.method.upper())
            and fnmatch.fnmatchcase(asked.path, _pattern(self.path))
            and fnmatch.fnmatchcase(credential, self.credential)
            and self._contained(asked)
        )

    def _contained(self, asked: Asked) -> bool:
        if not self.contains:
            return True
        body = asked.body.decode(errors="replace")
        return any(self.contains in text for text in (asked.path, body, *asked.query.values()))


def _pattern(template: str) -> str:
    """Turn a path template into a pattern: each {name} stands for one value."""
    return "/".join("*" if part.startswith("{") else part for part in template.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule: which requests it strikes, how often, and with what effect.

    times: how many requests it strikes, None for all; after: how many it lets pass first.
    begins, ends: moments of the simulated clock.
    seen, hits: matching requests so far, and struck ones.
    """

    id: str
    effect: Effect
    match: Match = field(default_factory=Match)
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    begins: datetime | None = None
    ends: datetime | None = None
    seen: int = 0
    hits: int = 0

    @property
    def exhausted(self) -> bool:
        """Say whether it has struck as often as it may."""
        return self.times is not None and self.hits >= self.times

    def stands(self, now: datetime) -> bool:
        """Say whether it is in force at this moment."""
        began = self.begins is None or self.begins <= now
        return began and (self.ends is None or now < self.ends) and not self.exhausted

    def document(self) -> Document:
        """Write the rule as JSON, as the admin API takes it back."""
        written: Document = {
            "id": self.id,
            "effect": {"kind": _NAMES[type(self.effect)], **asdict(self.effect)},
            "match": asdict(self.match),
            "times": self.times,
            "after": self.after,
            "probability": self.probability,
            "from": self.begins.isoformat() if self.begins else None,
            "until": self.ends.isoformat() if self.ends else None,
            "seen": self.seen,
            "hits": self.hits,
        }
        return written


def effect_from(document: Document | str) -> Effect:
    """Read an effect: a kind alone, or an object with a kind and its fields. Raises ValueError."""
    given = {"kind": document} if isinstance(document, str) else dict(document)
    kind = str(given.pop("kind", ""))
    if kind not in KINDS:
        message = f"unknown effect {kind!r}; known: {', '.join(sorted(KINDS))}"
        raise ValueError(message)
    return _built(KINDS[kind], given, what=f"effect {kind!r}")


def fault_from(identity: str, document: Document) -> Fault:
    """Read a rule as `Fault.document` writes it; only the effect is needed. Raises ValueError."""
    given = dict(document)
    if "effect" not in given:
        message = "a fault needs an effect"
        raise ValueError(message)
    match = _built(Match, dict(given.pop("match", None) or {}), what="match")
    begins, ends = given.pop("from", None), given.pop("until", None)
    given |= {
        "id": identity,
        "effect": effect_from(given["effect"]),
        "match": match,
        "begins": moment_from(begins) if begins else None,
        "ends": moment_from(ends) if ends else None,
    }
    return _built(Fault, given, what="fault")


Built = TypeVar("Built")


def _built(kind: type[Built], given: Document, *, what: str) -> Built:
    """Build a dataclass from JSON, naming what it does not know."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    if unknown := sorted(set(given) - known):
        message = f"{what} does not know {', '.join(unknown)}; it knows {', '.join(sorted(known))}"
        raise ValueError(message)
    try:
        return kind(**given)
    except TypeError as wrong:
        message = f"{what} is incomplete: {wrong}"
        raise ValueError(message) from wrong


class FaultBook:
    """The rules in force, in the order they were made."""

    def __init__(self, *, seed: int) -> None:
        self._rules: dict[str, Fault] = {}
        self._made = 0
        self._chance = random.Random(seed)

    def add(self, fault: Fault) -> Fault:
        """Put a rule into force; one with the same id is replaced in its place."""
        self._rules[fault.id] = fault
        return fault

    def fresh_id(self) -> str:
        """Give an id for a rule that was made without one."""
        self._made += 1
        while f"fault-{self._made}" in self._rules:
            self._made += 1
        return f"fault-{self._made}"

    def remove(self, identity: str) -> bool:
        """Take a rule out of force; says whether it was there."""
        return self._rules.pop(identity, None) is not None

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()

    def rules(self) -> list[Fault]:
        """List the rules in order, exhausted ones included."""
        return list(self._rules.values())

    def struck(self, asked: Asked, operation: str, credential: str, now: datetime) -> Fault | None:
        """Give the first strike that hits this request, and count it."""
        for fault in self.rules():
            if isinstance(fault.effect, _CONDITIONS) or not fault.stands(now):
                continue
            if not fault.match.fits(asked, operation, credential):
                continue
            hit = fault.seen >= fault.after and self._chance.random() < fault.probability
            counted = replace(fault, seen=fault.seen + 1, hits=fault.hits + hit)
            self._rules[fault.id] = counted
            if hit:
                return counted
        return None

    def delay(self, asked: Asked, operation: str, credential: str, now: datetime) -> float:
        """Draw how late this request is answered, in seconds; delays of several rules add up."""
        total = 0.0
        for fault in self.rules():
            effect = fault.effect
            if not isinstance(effect, Latency) or not fault.stands(now):
                continue
            if fault.match.fits(asked, operation, credential):
                self._rules[fault.id] = replace(fault, seen=fault.seen + 1, hits=fault.hits + 1)
                total += effect.drawn(self._chance)
        return total

    def conditions(self, kind: type[Built], now: datetime) -> list[tuple[Fault, Built]]:
        """List the standing rules whose effect is of this kind, with the effect."""
        return [
            (fault, fault.effect)
            for fault in self.rules()
            if isinstance(fault.effect, kind) and fault.stands(now)
        ]

    def use(self, fault: Fault) -> None:
        """Count one hit of a condition (a seat taken, for instance)."""
        self._rules[fault.id] = replace(fault, seen=fault.seen + 1, hits=fault.hits + 1)

    def snapshot(self) -> list[Document]:
        """Give the rules as JSON."""
        return [fault.document() for fault in self.rules()]

    def load(self, snapshot: list[Document]) -> None:
        """Replace the rules by a snapshot."""
        self._rules = {rule["id"]: fault_from(rule["id"], rule) for rule in snapshot}
