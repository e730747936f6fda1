"""What people are told of an incident: no names, no addresses, opaque references only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from newel.base.ids import reference
from newel.domain.acts import Trouble
from newel.domain.failures import incident_kind

_LONGEST_SAID: Final = 200
_PERSONAL: Final = re.compile(r"[^\s<>\"']+@[^\s<>\"']+|\+?\d[\d ()/-]{7,}\d|https?://\S+")
"""Addresses, telephone numbers and links: what a system says may hold them."""


@dataclass(frozen=True, kw_only=True)
class Issue:
    """What people were told through: channel, key there, where they open it.

    is_doubtful: a lost answer may have left a second one. is_closed: it is over.
    """

    channel: str
    key: str
    url: str
    is_doubtful: bool = False
    is_closed: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the ticket tells. before: the ticket of the same cause, closed within the last day."""

    incident: str
    system: str
    title: str
    body: str
    first_run: str
    at: datetime
    first_key: str = ""
    person: str | None = None
    runbook: str | None = None
    before: Issue | None = None


@dataclass(frozen=True, kw_only=True)
class News:
    """What has happened to an incident since.

    waiting: `runs` wait for it now. over: nobody does any more; healed_at: when the system
    answered again, None where people have seen to the steps themselves; minutes: from the first
    failed round to the end; held_up: how many steps in all.
    """

    kind: Literal["waiting", "over"]
    at: datetime
    runs: tuple[str, ...] = ()
    healed_at: datetime | None = None
    minutes: int = 0
    held_up: int = 0

    def ending(self) -> str:
        """The comment with which a ticket closes."""
        hours, minutes = divmod(self.minutes, 60)
        lasted = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
        if self.healed_at is None:
            return (
                f"Over {self.at:%Y-%m-%d %H:%M} UTC after {lasted}: people have seen to all "
                f"{self.held_up} steps. 0 are open."
            )
        return (
            f"Healed {self.healed_at:%Y-%m-%d %H:%M} UTC after {lasted}; "
            f"{self.held_up} resumed, 0 open."
        )


_KINDS: Final = {
    "outage": "no answer",
    "throttle": "too many calls",
    "auth": "credential refused",
    "permission": "permission missing",
    "capacity": "no free seat",
    "drift": "its answer has changed",
    "bug": "fault in our code",
}
_HEALS: Final = {
    "outage": "When it answers again, what is parked goes on by itself",
    "throttle": "When it takes calls again, what is parked goes on by itself",
    "capacity": "When it shows a free seat, what is parked goes on; where it cannot, retry it",
    "auth": "When the credential is accepted again, what is parked goes on by itself",
}


def case_of(
    incident: dict[str, Any],
    trouble: Trouble,
    *,
    at: datetime,
    subject: str | None = None,
    runbook: str | None = None,
    before: Issue | None = None,
) -> Case:
    """What the ticket of an incident says, in plain words.

    trouble: what the step has been through that made people be told. subject: the reference of
    the person it is about.
    """
    since: datetime = incident["opened_at"]
    kind = incident_kind(incident["fingerprint"])
    what = _KINDS.get(kind, incident["class"])
    operation = incident["operation"]
    is_narrow = operation is not None and incident["fingerprint"].endswith(f":{operation}")
    where = f" ({operation})" if is_narrow else ""
    run = reference("run", _uuid(incident["lead_run"]))
    heals = _HEALS.get(kind, "When a person has mended it, retry it")
    lines = [
        f"{incident['title']}: {what}{where} since {since:%Y-%m-%d %H:%M} UTC.",
        f"Failure class: {incident['class']}. {_last(incident, trouble)}",
        _tried(trouble, at),
        f"First run held up: {run}, step {incident['lead_key']}.",
        "Everything else of these runs goes on.",
        f"{heals}, and this ticket is commented on and closed.",
    ]
    return Case(
        incident=reference("inc", _uuid(incident["id"])),
        system=incident["system"],
        title=f"[newel] {incident['system']}: {what} since {since:%Y-%m-%d %H:%M} UTC",
        body="\n".join(lines),
        first_run=run,
        first_key=incident["lead_key"],
        at=at,
        person=subject,
        runbook=runbook,
        before=before,
    )


def _last(incident: dict[str, Any], trouble: Trouble) -> str:
    said = _PERSONAL.sub("…", trouble.message or incident["last_error"] or "nothing")
    status = "" if trouble.status is None else f" (status {trouble.status})"
    asked = "" if trouble.request_id is None else f", request {trouble.request_id}"
    return f"Last said: {said[:_LONGEST_SAID]}{status}{asked}."


def _tried(trouble: Trouble, at: datetime) -> str:
    if not trouble.failed_rounds:
        return "Not tried again: repeating it would not help."
    rounds = "1 round" if trouble.failed_rounds == 1 else f"{trouble.failed_rounds} rounds"
    return f"{rounds} failed by {at:%H:%M} UTC; the step is parked."


def _uuid(value: Any) -> UUID:  # Any: a UUID or its text
    return value if isinstance(value, UUID) else UUID(value)
