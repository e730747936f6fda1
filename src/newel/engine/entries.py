"""What the turn of a grant writes: rows of the ledger and facts of the log, side by side. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.leaf import ProcessVersion
from newel.base.ids import reference
from newel.domain.change import Change, Row
from newel.domain.grants import ENDED, Held, Turn, turn
from newel.domain.values import Effect

__all__ = ["Outcome", "waive", "write"]

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome that turns a grant, and all that the ledger and the log must know of it.

    seq: its place in the run's stream. due_at: when access was to end. intended_at: of the
    attempt that gave it. level: that it gave, None where the entitlement has none.
    """

    run: UUID
    process: ProcessVersion
    person: UUID
    key: str
    seq: int
    at: datetime
    due_at: datetime
    intended_at: datetime | None
    system: str
    entitlement: str
    level: str | None
    effect: Effect
    cause: facts.RevocationCause
    authority: facts.ApprovalAuthority | facts.PolicyAuthority
    http: facts.Http | None = None


def write(
    outcome: Outcome, before: Held | None, change: Change, tell: Callable[..., object]
) -> None:
    """Put rows and facts of the turn into the Change in the making."""
    effect = outcome.effect
    turned = turn(before, effect.access, level=outcome.level, is_changed=effect.changed)
    begun = _grant_id(outcome) if turned.begins is not None else None
    if before is not None:
        change.also("grant_moved", _moved(outcome, before, turned))
    if begun is not None:
        row = {**_row(outcome, begun), **_start(outcome, turned)}
        if before is not None and turned.continues:
            row["continues"] = str(before.id)
        change.also("access_grant", row)
    for fact in _facts(outcome, before, turned, begun):
        tell(fact, key=outcome.key, system=outcome.system, process=outcome.process)


def waive(outcome: Outcome, change: Change) -> str:
    """Write that what the outcome was to give is waived; gives the grant's reference."""
    grant = _grant_id(outcome)
    change.also("access_grant", {**_row(outcome, grant), "state": "waived"})
    return reference("grt", grant)


def _row(outcome: Outcome, grant: UUID) -> Row:
    """The columns of a grant that begins, whatever its state."""
    return {
        "id": str(grant),
        "person": outcome.person,
        "stint": 1,
        "system": outcome.system,
        "entitlement": outcome.entitlement,
        "level": outcome.level,
        "account_id": outcome.effect.external_id or None,
        "intended_at": outcome.intended_at,
        "since_unknown": False,
        "route": outcome.effect.path,
        "evidence": outcome.effect.evidence or None,
        "reason_kind": "policy",
        "reason_ref": outcome.process.name,
        "made_run": str(outcome.run),
        "made_key": outcome.key,
        "made_seq": outcome.seq,
        "recorded_at": outcome.at,
    }


def _start(outcome: Outcome, turned: Turn) -> Row:
    start: Row = {
        "state": turned.begins,
        "valid_from": outcome.at if turned.begins == "active" else None,
        "verified_at": outcome.at,
    }
    if turned.is_found:
        start |= {"since_unknown": True, "reason_kind": "adopted", **_end(outcome, None)}
    return start


def _moved(outcome: Outcome, before: Held, turned: Turn) -> Row:
    """What becomes of the grant that is held: at the least it has been looked at."""
    row: Row = {"id": str(before.id), "from_state": before.state, "verified_at": outcome.at}
    row["state"] = turned.becomes or before.state
    if turned.becomes == "active":
        row |= {"valid_from": outcome.at, "level": outcome.level}
    if before.state == "suspended" and turned.becomes == "revoked":
        return row | {
            "removed_at": outcome.at,
            "removed_run": str(outcome.run),
            "removed_key": outcome.key,
        }
    if turned.becomes in ENDED:
        return row | _end(outcome, before)
    if turned.begins is None:
        row["account_id"] = outcome.effect.external_id or None
    return row


def _end(outcome: Outcome, before: Held | None) -> Row:
    since = None if before is None else before.valid_from
    return {
        # the clocks of two workers may differ by a little: no interval ends before it began
        "valid_to": outcome.at if since is None else max(outcome.at, since),
        "ended_run": str(outcome.run),
        "ended_key": outcome.key,
        "ended_seq": outcome.seq,
    }


# --- telling --------------------------------------------------------------------------------

_Fact = (
    facts.AccessGranted
    | facts.AccessModified
    | facts.AccessPending
    | facts.AccessRevoked
    | facts.AccessVerified
)


def _facts(outcome: Outcome, before: Held | None, turned: Turn, begun: UUID | None) -> list[_Fact]:
    """What the log is told of a turn, in order."""
    if before is not None and turned.becomes == "revoked" and turned.begins == "active":
        assert begun is not None, "what begins has an id"
        modified = _modified(outcome, begun, before)
        return [modified, *_read_back(outcome, [modified])]
    told: list[_Fact] = []
    if before is not None and turned.becomes is not None:
        told.append(_turned(outcome, before.id, turned.becomes, is_drift=begun is not None))
    if begun is not None and turned.begins is not None:
        continued = before.id if before is not None and turned.continues else None
        told.append(
            _turned(outcome, begun, turned.begins, continues=continued, is_found=turned.is_found)
        )
    if before is not None and not told:
        told.extend(_seen(outcome, before))
    return told + _read_back(outcome, told)


def _turned(
    outcome: Outcome,
    grant: UUID,
    state: facts.GrantState,
    *,
    continues: UUID | None = None,
    is_found: bool = False,
    is_drift: bool = False,
) -> _Fact:
    if state in ENDED:
        return _revoked(outcome, grant, state, is_found=is_found, is_drift=is_drift)
    if state == "active":
        return _granted(outcome, grant, continues)
    return facts.AccessPending(
        grant=reference("grt", grant),
        state=state,
        entitlement=outcome.entitlement,
        account_ref=_account_ref(outcome),
        http=outcome.http,
    )


def _granted(outcome: Outcome, grant: UUID, continues: UUID | None) -> facts.AccessGranted:
    effect = outcome.effect
    return facts.AccessGranted(
        grant=reference("grt", grant),
        state="active",
        entitlement=outcome.entitlement,
        level=outcome.level,
        account_ref=_account_ref(outcome),
        authority=outcome.authority,
        effective_at=outcome.at,
        route=cast("facts.Route", effect.path),  # checked by the leaf
        changed=effect.changed,
        adopted=True if effect.adopted else None,
        continues=None if continues is None else reference("grt", continues),
        http=outcome.http,
    )


def _modified(outcome: Outcome, grant: UUID, before: Held) -> facts.AccessModified:
    effect = outcome.effect
    return facts.AccessModified(
        grant=reference("grt", grant),
        state="active",
        entitlement=outcome.entitlement,
        level=outcome.level,
        account_ref=_account_ref(outcome),
        authority=outcome.authority,
        effective_at=outcome.at,
        route=cast("facts.Route", effect.path),  # checked by the leaf
        changed=effect.changed,
        from_=reference("grt", before.id),
        adopted=True if effect.adopted else None,
        http=outcome.http,
    )


def _revoked(
    outcome: Outcome,
    grant: UUID,
    state: facts.GrantState,
    *,
    is_found: bool,
    is_drift: bool,
) -> facts.AccessRevoked:
    late = max(outcome.at - outcome.due_at, timedelta(0))
    return facts.AccessRevoked(
        grant=reference("grt", grant),
        state=state,
        how="suspended" if state == "suspended" else "removed",
        cause="drift" if is_drift else outcome.cause,
        due_at=outcome.due_at,
        late_us=late // _MICROSECOND,
        entitlement=outcome.entitlement,
        since_unknown=True if is_found else None,
        http=outcome.http,
    )


def _seen(outcome: Outcome, before: Held) -> list[_Fact]:
    """A grant that stays as it was: an invitation sent anew, or what the system says of it."""
    if before.state == outcome.effect.access == "prepared" and outcome.effect.changed:
        return [_turned(outcome, before.id, "prepared")]
    if outcome.http is None or before.state not in {"active", "suspended"}:
        return []
    return [_verified(reference("grt", before.id), before.state, outcome.http)]


def _read_back(outcome: Outcome, told: list[_Fact]) -> list[_Fact]:
    """What the system said of access that was just given or taken, if it was asked."""
    if outcome.http is None or not outcome.effect.is_read:
        return []
    return [
        _verified(each.grant, each.state, outcome.http)
        for each in told
        if isinstance(each, facts.AccessGranted | facts.AccessModified | facts.AccessRevoked)
    ]


def _verified(grant: str, state: facts.GrantState, http: facts.Http) -> facts.AccessVerified:
    return facts.AccessVerified(
        grant=grant,
        state=state,
        result="present" if state == "active" else "absent",
        http=http,
    )


def _grant_id(outcome: Outcome) -> UUID:
    """The same whenever the same outcome is written again."""
    name = f"{outcome.entitlement}\0{outcome.seq}".encode()
    digest = hashlib.sha256(outcome.person.bytes + outcome.run.bytes + name).digest()
    return UUID(bytes=digest[:16], version=4)


def _account_ref(outcome: Outcome) -> str:
    name = f"{outcome.system}\0{outcome.effect.external_id}".encode()
    return reference("acc", UUID(bytes=hashlib.sha256(name).digest()[:16], version=4))
