"""The twelve failure classes: from an exception to its class, and what each class entails.

Failures have a class before they have a schedule (product document, §5.1): repeating a missing
scope for an hour only delays the person who can add it, and calling again after an unknown
outcome without looking is how double accounts are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from newel.base.errors import (
    AuthFailed,
    Bug,
    ContractDrift,
    DefinitionError,
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)

ParkedReason = Literal[
    "outage",
    "unknown",
    "ownership-conflict",
    "invalid",
    "forbidden",
    "auth-failed",
    "no-capacity",
    "contract-drift",
    "bug",
    "drifted",
    "blocked",
    "nobody",
    "held",
    "overdue",
]

_NEVER_SENT: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_TRANSPORT_MODULES: Final = ("httpx", "httpcore", "aiohttp", "asyncpg")


@dataclass(frozen=True, slots=True)
class Parking:
    """Why a step of a failure class parks, and which kind of incident it belongs to.

    incident: None where the cause concerns one person's data and a task frees it.
    addressee: the team that answers where the process or system names no other.
    """

    reason: ParkedReason
    incident: str | None
    addressee: str


PARKING: Final[dict[str, Parking]] = {
    Transient.failure_class: Parking("outage", "outage", "it"),
    NotReady.failure_class: Parking("outage", "outage", "it"),
    Throttled.failure_class: Parking("outage", "throttle", "it"),
    OutcomeUnknown.failure_class: Parking("unknown", None, "it"),
    OwnershipConflict.failure_class: Parking("ownership-conflict", None, "it"),
    Invalid.failure_class: Parking("invalid", None, "owner"),
    Forbidden.failure_class: Parking("forbidden", "permission", "it"),
    AuthFailed.failure_class: Parking("auth-failed", "auth", "it"),
    NoCapacity.failure_class: Parking("no-capacity", "capacity", "it"),
    ContractDrift.failure_class: Parking("contract-drift", "drift", "maintainers"),
    Bug.failure_class: Parking("bug", "bug", "maintainers"),
}

USES_ROUNDS: Final = frozenset({Transient.failure_class, NotReady.failure_class})


def judged(error: BaseException) -> StepError:
    """Give an exception that a step's code raised its class.

    An exception of the tree is its own class. Of the others, a refused connection is transient,
    any other transport error or time-out is outcome-unknown, and everything else is a bug: a
    programming error does not get better in 60 minutes.
    Source: style document, §7.
    """
    if isinstance(error, StepError):
        return error
    if isinstance(error, DefinitionError):
        return Bug(str(error))
    name = type(error).__name__
    if isinstance(error, ConnectionRefusedError) or name in _NEVER_SENT:
        return Transient(f"no connection ({name})")
    is_transport = type(error).__module__.startswith(_TRANSPORT_MODULES)
    if isinstance(error, TimeoutError | ConnectionError) or is_transport:
        return OutcomeUnknown(f"the answer was lost ({name})")
    return Bug(f"{name} in the code of the step")


def parked_for(error: StepError) -> ParkedReason:
    """Why a step parks that has failed with this; a held one waits for a decision of its own."""
    if isinstance(error, Forbidden) and error.reason == "held":
        return "held"
    return PARKING[error.failure_class].reason


def incident_fingerprint(error: StepError, *, credential: str | None, where: str) -> str | None:
    """Name the cause that several failing steps may share; None where there is none.

    where: of a step without a credential, `process:version:key without subscript`.
    Source: product document, §5.6.
    """
    kind = PARKING[error.failure_class].incident
    if kind is None or parked_for(error) == "held":
        return None
    if credential is None or kind == "bug":
        return f"{kind}:{where}:{type(error).__name__}"
    if isinstance(error, Forbidden):
        return f"{credential}/permission:{error.missing or error.operation or ''}"
    if isinstance(error, NoCapacity):
        return f"{credential}/capacity:{error.what or ''}"
    if isinstance(error, ContractDrift):
        return f"{credential}/drift:{error.operation or ''}"
    return f"{credential}/{kind}"


def incident_kind(fingerprint: str) -> str:
    """The kind of trouble that a fingerprint names, without its operation, scope or product."""
    head, _, tail = fingerprint.partition("/")
    kind = head.partition(":")[0]
    # A credential is `system:hash`; a fingerprint without one begins with the kind.
    return kind if kind in _KINDS else tail.partition(":")[0]


_KINDS: Final = frozenset(each.incident for each in PARKING.values() if each.incident)
