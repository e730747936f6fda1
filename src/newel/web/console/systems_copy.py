"""Every sentence of the console about systems and webhooks; as in `copy`, and for its reasons.

Source: console document, §6.11, §12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from newel.domain.remedies import REMEDIES
from newel.people.words import clipped, team_name

__all__ = [
    "ActWords",
    "budget_text",
    "calls_text",
    "endpoint_text",
    "endpoint_words",
    "hours_text",
    "incident_text",
    "incident_title",
    "paused_text",
    "ping_text",
    "system_words",
    "tested_text",
]

_INCIDENT_CAUSES: Final = {
    "throttled": "{system} asks to be called less often",
    "auth-failed": "{system} does not accept newel's credential",
    "forbidden": "{system} does not allow something to newel",
    "no-capacity": "{system} has no free seat",
    "contract-drift": "{system} answers in another form",
    "bug": "The code for {system} has failed",
}


def incident_title(failure_class: str, system: str) -> str:
    """Say in a few words what is wrong with a system."""
    return _INCIDENT_CAUSES.get(failure_class, "{system} does not answer").format(system=system)


def incident_text(failure_class: str, system: str, held_up: int, said: str | None) -> str:
    """Say what an incident holds up, what the system said, and what helps.

    said: by the system, or by newel of it; cleaned of what is personal.
    """
    reason = failure_class if failure_class in REMEDIES else "outage"
    what = f"{held_up} {'step waits' if held_up == 1 else 'steps wait'}."
    told = f" It says: {clipped(said, 200).rstrip('.')}." if said else ""
    return f"{what}{told} {REMEDIES[reason].of(system)}"


def tested_text(system: str, *, ok: bool, identity: str, missing: tuple[str, ...]) -> str:
    """Say what came of asking a system whether credential and permissions are as they should be."""
    if missing:
        return f"{system} answers, and lacks for newel: {', '.join(missing)}."
    if not ok:
        return f"{system} answers, and its check is not content."
    whom = f" as {identity}" if identity else ""
    return f"{system} knows newel{whom}, and everything that is needed is allowed."


def endpoint_text(state: str, owner: str) -> str:
    """Say how an endpoint fares, and what follows; owner: the team that answers for it."""
    match state:
        case "failing":
            return (
                "What it does not accept is sent again, ten times within three days. "
                f"After three days without success there is a task for {team_name(owner or 'it')}."
            )
        case "gone":
            return (
                "It has answered that it is gone, so nothing is sent any more. "
                "What happens meanwhile waits, up to thirty days, until it is enabled."
            )
        case "disabled":
            return "Nothing is sent. What happens meanwhile waits, up to thirty days."
        case _:
            return ""


def hours_text(accepted: int, waiting: int, given_up: int) -> str:
    """Say in words what the picture of the last hours shows."""
    if not accepted + waiting + given_up:
        return "Nothing was to be told in the last 24 hours."
    return f"Last 24 hours: {accepted} accepted, {waiting} waiting, {given_up} given up."


def ping_text(name: str, why: str, *, accepted: bool) -> str:
    """Say what an endpoint has answered to a message that says nothing."""
    return f"{name} {'accepts' if accepted else 'does not accept'} messages: {why}."


@dataclass(frozen=True, slots=True)
class ActWords:
    """The words of a form that acts on an endpoint or a system. asks_why: a reason is asked for."""

    heading: str
    consequence: str
    button: str
    is_dangerous: bool = False
    asks_why: bool = False


def endpoint_words(verb: str, name: str) -> ActWords:
    """Give the words of a form that acts on an endpoint: its heading, what follows, the button."""
    match verb:
        case "enable":
            return ActWords(
                f"Enable {name}", "It is told again, of what it has missed, too.", "Enable"
            )
        case "disable":
            return ActWords(
                f"Disable {name}",
                "Nothing is sent. What happens meanwhile waits, up to thirty days.",
                "Disable",
                is_dangerous=True,
                asks_why=True,
            )
        case _:
            return ActWords(
                f"Send to {name} again",
                "It is sent under the id it had, so a receiver that has it already can tell.",
                "Send again",
            )


def system_words(verb: str, title: str, waiting: int) -> ActWords:
    """Give the words of a form that pauses or resumes a system. waiting: runs that wait for it."""
    if verb == "pause":
        return ActWords(
            f"Pause {title}",
            "newel begins nothing there until it is resumed, not even what takes access away. "
            "What is in flight ends; steps wait, and dates count on.",
            "Pause",
            is_dangerous=True,
            asks_why=True,
        )
    whom = "No run waits for it." if not waiting else f"{waiting} {_runs(waiting)} for it."
    return ActWords(
        f"Resume {title}", f"{whom} Steps go on, the oldest first.", "Resume", asks_why=True
    )


def _runs(count: int) -> str:
    return "run waits" if count == 1 else "runs wait"


def paused_text(title: str, by: str, at: str) -> str:
    """Say who has paused a system and what that means; at: when, as people write it."""
    return f"Paused by {by} since {at}. newel begins nothing in {title}; steps wait for it."


_SPANS: Final = ((1, "a second"), (60, "a minute"), (3600, "an hour"), (86_400, "a day"))


def budget_text(rate: float) -> str:
    """Say how many requests a budget allows, in the first unit in which they are a whole number.

    rate: a second.
    """
    for seconds, unit in _SPANS:
        count = rate * seconds
        if round(count) >= 1 and abs(count - round(count)) < _WHOLE:
            return f"{round(count):,} {unit}"
    return f"{rate * 86_400:,.0f} a day"


_WHOLE: Final = 1e-6


def calls_text(calls: int, failures: int, nearly_all_ms: int | None) -> str:
    """Say in words how a system has answered for 24 hours."""
    if nearly_all_ms is None:
        return "It was not called in the last 24 hours."
    failed = "none failed" if not failures else f"{failures:,} failed"
    return f"{calls:,} {'call' if calls == 1 else 'calls'} in 24 hours, {failed}."
