"""Every sentence of the console. Templates hold labels only; nothing is glued together there.

Plain words, present tense: the cause, then the remedy, then who. Buttons are the verbs of the
glossary; three dots mean that a question follows. Class names and codes stay in the attempts.
Source: console document, §2.3, §12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import quote, unquote

from newel.domain.remedies import OTHERWISE, REMEDIES
from newel.people.facts import OpenFact
from newel.people.words import clipped, in_words, noun_of, since, system_name, team_name
from newel.web.console.format import inside, relative, when

__all__ = [
    "ALREADY_RUNS",
    "ALREADY_SENT",
    "CHIPS",
    "CLOSED_BY",
    "ERROR_HEADINGS",
    "RESOLVED_HOW",
    "RETRIED_BY",
    "Parked",
    "VerbWords",
    "access_who",
    "actor_name",
    "because",
    "chip_word",
    "consequence",
    "failure_text",
    "failures",
    "next_line",
    "nothing_open",
    "outcome",
    "owner_text",
    "parked_text",
    "process_noun",
    "question",
    "quoted",
    "round_text",
    "run_parked_text",
    "step_title",
    "task_title",
    "verb_words",
    "why",
    "with_item",
]

CHIPS: Final[dict[str, tuple[str, str, str]]] = {
    "completed": ("done", "tick", "Completed"),
    "failed": ("failed", "cross", "Failed"),
    "cancelled": ("pend", "slash", "Cancelled"),
    "paused": ("wait", "pause", "Paused"),
    "parked": ("park", "triangle", "Parked"),
    "task": ("task", "person", "Waiting for a person"),
    "retrying": ("retry", "again", "Retrying"),
    "running": ("run", "ring", "Running"),
    "waiting": ("wait", "hourglass", "Waiting"),
    "done": ("done", "tick", "Done"),
    "by-hand": ("done", "hand", "Done by hand"),
    "in-doubt": ("retry", "question", "Checking whether it happened"),
    "skipped": ("pend", "slash", "Skipped"),
    "planned": ("pend", "dots", "Planned"),
    "will-run": ("pend", "dots", "Next"),
    "expected": ("pend", "dots", "Expected"),
    "maybe": ("pend", "dots", "Perhaps"),
    "not-needed": ("pend", "slash", "Not needed"),
    "granted": ("done", "tick", "Granted"),
    "partly": ("run", "ring", "Partly granted"),
    "granting": ("run", "ring", "Being granted"),
    "prepared": ("wait", "hourglass", "Prepared"),
    "revoked": ("pend", "slash", "Revoked"),
    "suspended": ("pend", "slash", "Suspended"),
    "refused": ("pend", "slash", "Refused"),
    "waived": ("pend", "slash", "Skipped"),
    "open": ("task", "person", "Open"),
    "overdue": ("park", "triangle", "Overdue"),
    "approved": ("done", "tick", "Approved"),
    "rejected": ("pend", "cross", "Rejected"),
    "expired": ("pend", "slash", "Closed by its deadline"),
    "withdrawn": ("pend", "slash", "Withdrawn"),
    "system-well": ("done", "tick", "No incident"),
    "system-watching": ("retry", "again", "Being tried again"),
    "system-escalated": ("park", "triangle", "Needs a person"),
    "system-healing": ("run", "ring", "Recovering"),
    "system-blocked": ("wait", "hourglass", "Slowed down"),
    "system-paused": ("wait", "pause", "Paused"),
    "able-there": ("done", "tick", "There"),
    "able-absent": ("pend", "slash", "Not there"),
    "able-lost": ("park", "triangle", "Lost"),
    "endpoint-well": ("done", "tick", "Well"),
    "endpoint-failing": ("retry", "again", "Failing"),
    "endpoint-gone": ("park", "triangle", "Gone"),
    "endpoint-disabled": ("pend", "slash", "Disabled"),
    "delivery-waiting": ("retry", "again", "Waiting"),
    "delivery-accepted": ("done", "tick", "Accepted"),
    "delivery-dead": ("park", "cross", "Given up"),
    "hook-heard": ("done", "tick", "Heard"),
    "hook-never": ("pend", "dots", "Never heard"),
    "hook-silent": ("park", "triangle", "Silent"),
}
"""Tone, icon and word of every state that a chip shows. Console document, §2.1, §2.2."""


def chip_word(state: str, *, detail: str = "") -> str:
    """Give the word of a chip; detail refines it (`Retrying, round 2`)."""
    word = CHIPS[state][2]
    return f"{word} {detail}" if detail else word


@dataclass(frozen=True, slots=True)
class Parked:
    """Why something is parked, what helps, and the verb that is offered first."""

    cause: str
    remedy: str
    primary: str


def parked_text(act: OpenFact, detail: Mapping[str, Any], zone: tzinfo, now: datetime) -> Parked:
    """Say why a step is parked and what helps; detail: what its last failure left."""
    system = act.name
    what = in_words(act.key)
    said = clipped(str(detail.get("message") or ""), 200)
    began = since(act.incident_since or act.since, zone, now)
    remedy = REMEDIES.get(act.reason or "", OTHERWISE)
    cause = _cause_of(act, what, said, began)
    return Parked(cause, remedy.of(system), remedy.verb)


def _cause_of(act: OpenFact, what: str, said: str, began: str) -> str:
    """Say why a step is parked; said: by the system, clipped; began: since when."""
    system = act.name
    match act.reason:
        case "outage":
            return f"{system} has not answered since {began}."
        case "unknown":
            return (
                f"newel asked {system} to {what} and got no answer. "
                "It may or may not have happened."
            )
        case "ownership-conflict":
            return f"An account already exists in {system}, and nothing shows whose it is."
        case "invalid":
            return f"{system} refused the data{_colon(said)}."
        case "forbidden":
            return f"newel may not do this in {system}{_colon(said)}."
        case "auth-failed":
            return f"{system} no longer accepts newel's credential."
        case "no-capacity":
            return f"{system} has no free seat."
        case "contract-drift":
            return f"{system}'s answer has changed{_colon(said)}."
        case "bug":
            return f"The step's code failed{_colon(said)}."
        case "drifted":
            return f"The input of “{what}” has changed since it ran."
        case _:
            return f"{system} is parked."


_RUN_PARKED: Final = {
    "bug": ("The process's code failed.", "A developer must fix it. Retry after the deploy."),
    "blocked": (
        "The current code cannot continue this run.",
        "A developer must deploy a version that can. Retry after the deploy.",
    ),
    "drifted": (
        "The input of a finished step has changed since it ran.",
        "Keep the result of the step, or run it again; or deploy the old code.",
    ),
    "held": (
        "Too many people would lose access at once: it is held.",
        "An administrator releases it in the task; or cancel it.",
    ),
    "overdue": (
        "This run has taken longer than its process allows.",
        "Retry lets it go on without a limit; or cancel it.",
    ),
    "nobody": ("Nobody holds the role that is asked.", "Give the role to a person, then retry."),
}


def run_parked_text(reason: str | None, addressee: str | None) -> str:
    """Say why a run is parked as a whole, what helps, and who has it."""
    cause, remedy = _RUN_PARKED.get(reason or "", ("The run is parked.", "Retry it."))
    owner = f" It is with {team_name(addressee)}." if addressee else ""
    return f"{cause} {remedy}{owner}"


def owner_text(act: OpenFact) -> str:
    """Say who has a parked step, without a full stop: a ticket may follow."""
    return f"{team_name(act.owner or 'it')} has it"


def why(act: OpenFact, detail: Mapping[str, Any], zone: tzinfo, now: datetime) -> str:
    """Say in one sentence why an open act is not done yet."""
    match act.kind, act.state:
        case "step", "parked":
            return parked_text(act, detail, zone, now).cause
        case "step", _ if act.is_task:
            return f"“{_capital(act.task_title or in_words(act.key))}” waits for {act.assignee}."
        case "step", "retrying":
            return f"{failure_text(detail.get('failure_class'), act.name)}."
        case "step", _:
            again = act.attempt > 1
            return f"Attempt {act.attempt} is in flight." if again else "The first attempt runs."
        case "approval" | "form", _:
            return f"“{_capital(act.task_title or in_words(act.key))}” waits for {act.assignee}."
        case "timer", _:
            return f"Waiting for the date: {in_words(act.key)}."
        case _:
            return f"Waiting for “{in_words(act.key)}”."


def next_line(act: OpenFact, zone: tzinfo, now: datetime) -> str:
    """Say what happens next by itself, when, and in how long; empty if a person has to act."""
    match act.kind, act.state:
        case "step", _ if act.is_task and act.next_at is not None:
            return f"newel looks whether it is done, {_moment(act.next_at, zone, now)}."
        case "step", "retrying" if act.next_at is not None:
            if act.next_at <= now:
                return f"{act.name} is tried again now."
            rounds = act.failed_rounds
            so_far = (
                f" {rounds} {'round' if rounds == 1 else 'rounds'} failed so far." if rounds else ""
            )
            return f"Retry {act.name}, {_moment(act.next_at, zone, now)}.{so_far}"
        case "approval" | "form", _ if act.due_at is not None:
            return f"Due {_moment(act.due_at, zone, now)}."
        case "timer", _ if act.due_at is not None:
            return f"{_capital(in_words(act.key))}, {_moment(act.due_at, zone, now)}."
        case "event", _ if act.due_at is not None:
            return f"At the latest {_moment(act.due_at, zone, now)}."
        case _:
            return ""


def step_title(key: str, system: str | None, system_title: str | None) -> str:
    """Write a key as a title: `github.add_to_team[core]` is `GitHub: add to team core`."""
    words = in_words(key)
    if system is None:
        return _capital(words)
    return f"{system_name(system, system_title)}: {words}"


def with_item(title: str, key: str) -> str:
    """Add to a step's title the item in its key: `Add to the team` and `[core]`."""
    item = key.rpartition("/")[2].partition("#")[0].partition("[")[2].rstrip("]")
    return f"{title}: {unquote(item)}" if item else title


_FAILURES: Final = {
    "transient": "did not answer as it should",
    "throttled": "asked to be called less often",
    "not-ready": "was not ready yet",
    "outcome-unknown": "did not answer; whether it took effect is not known",
    "ownership-conflict": "holds an account that may be somebody else's",
    "invalid": "refused the data",
    "forbidden": "refused: a permission is missing",
    "auth-failed": "refused newel's credential",
    "no-capacity": "has no free seat",
    "contract-drift": "answered in a changed form",
}


def failure_text(failure_class: str | None, system: str) -> str:
    """Say plainly what went wrong in an attempt, without a full stop."""
    if failure_class == "bug":
        return "The step's code failed"
    return f"{system} {_FAILURES.get(failure_class or '', 'failed')}"


def actor_name(actor: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Name whoever did something: a person, a key by its name, or newel.

    names: display names by reference (`per_…`).
    """
    person = actor.get("on_behalf_of") or (actor["id"] if actor["type"] == "person" else None)
    if person is not None:
        return names.get(person, "an erased person")
    match actor["type"], actor["id"]:
        case "system", _:
            return "newel"
        case "key", name:
            return f"API key {name.removeprefix('key_')}"
        case _, "svc_cli":
            return "the command line"
        case _, "svc_console":
            return "the console"
        case _:
            return "the API"


def nothing_open(standing: str) -> str:
    """Say why a list of runs is empty."""
    if standing == "open":
        return "No run is in flight."
    return f"No run is {CHIPS[standing][2].lower()}." if standing in CHIPS else "No run fits."


RETRIED_BY: Final = {
    "person": "asked for by a person",
    "probe": "the system answers again",
    "schedule": "as scheduled",
}
RESOLVED_HOW: Final = {
    "adopted": "the last call had taken effect",
    "redone": "the last call had not taken effect",
    "person": "a person said so",
}
CLOSED_BY: Final = {"timer": "its moment came", "event": "the message came"}


def failures(attempts: int) -> str:
    """Say how many attempts were made; nothing where none was."""
    if attempts == 0:
        return ""
    return f"{attempts} {'attempt' if attempts == 1 else 'attempts'}"


def round_text(failed_rounds: int) -> str:
    """Refine the chip of a retry: which round it is in."""
    return f"(round {failed_rounds + 1})" if failed_rounds else ""


def task_title(title: str | None, key: str) -> str:
    """Write a task's title as a heading."""
    return _capital(title or in_words(key))


ERROR_HEADINGS: Final = {
    404: "Not found",
    405: "Not possible here",
    409: "This changed while you were looking",
    422: "Not accepted",
    500: "This did not work",
}


@dataclass(frozen=True, slots=True)
class VerbWords:
    """The words of a verb's form: heading, what follows, the button, and how strong it is."""

    heading: str
    consequence: str
    button: str
    is_dangerous: bool = False


def verb_words(verb: str, key: str, person: str | None) -> VerbWords:
    """Say what a verb does to a step (or, without a key, to the run)."""
    step = f"“{_capital(in_words(key))}”" if key else "the run"
    subject = f" for {person}" if person else ""
    match verb:
        case "retry":
            return VerbWords(
                f"Retry {step}{subject}",
                "newel tries it again at once, with a fresh series of rounds.",
                "Retry",
            )
        case "skip":
            return VerbWords(
                f"Skip {step}{subject}",
                "The run goes on without it. What builds on it may fail later.",
                "Skip",
                is_dangerous=True,
            )
        case "complete-by-hand":
            return VerbWords(
                f"Complete {step} by hand{subject}",
                "You have done it yourself. The run goes on with the result you give here.",
                "Complete by hand",
            )
        case "pause":
            return VerbWords(
                f"Pause {step}{subject}",
                "Nothing new is begun until it is resumed. What is in flight ends; dates count on.",
                "Pause",
            )
        case "resume":
            return VerbWords(
                f"Resume {step}{subject}", "The run goes on from where it stands.", "Resume"
            )
        case "reschedule":
            return VerbWords(
                f"Reschedule {step}{subject}",
                "It is due at the new moment; one that has passed is due at once.",
                "Reschedule",
            )
        case "fork":
            return VerbWords(
                f"Begin anew from {step}{subject}",
                "A new run takes over what was finished before it, and does the rest again.",
                "Start a new run",
            )
        case "keep":
            return VerbWords(
                f"Keep the result of {step}{subject}",
                "What it gave stands, although its input is another now; the run goes on with it.",
                "Keep the result",
            )
        case "acknowledge":
            return VerbWords(
                f"Acknowledge {step}{subject}",
                "You have seen that it failed. It needs attention no more.",
                "Acknowledge",
            )
        case "amend":
            return VerbWords(
                f"Change the input of {step}{subject}",
                "First see what that means for the run; then confirm it.",
                "See what changes",
            )
        case _:
            return VerbWords(
                f"Cancel {step}{subject}",
                "Nothing new is begun. What was promised for this case is undone, the rest stays.",
                "Cancel the run",
                is_dangerous=True,
            )


ALREADY_SENT: Final = (
    "This form has started a run before, with other answers. Open that run, or begin anew with a "
    "fresh form."
)
ALREADY_RUNS: Final = "This person has such a run already."


def consequence(
    kind: str,
    *,
    has_fields: bool,
    is_order: bool = False,
    is_looked_at: bool = False,
    is_whose: bool = False,
) -> str:
    """Say what follows from the answer to a task.

    is_order: it confirms what somebody ordered. is_looked_at: newel sees for itself whether it is
    done. is_whose: it says whether an account is the person's.
    """
    if is_whose:
        return (
            "On approve newel marks the account as theirs and goes on. "
            "On reject nothing is touched, the step stays parked, and a reason is needed."
        )
    if is_order:
        return "On approve it is done at once, in both names. On reject nothing is done."
    if kind == "approval":
        return "On approve the run goes on. On reject the process is told, and a reason is needed."
    if is_looked_at:
        return "newel looks at once. The run goes on when it sees that it is done."
    return "The run goes on with what you enter." if has_fields else "Then the run goes on."


def question(title: str, subject: str | None, kind: str = "approval") -> str:
    """Write a task as its heading: an approval asks, a form tells what to do."""
    mark = "?" if kind == "approval" else ""
    return f"{title}: {subject}{mark}" if subject else f"{title}{mark}"


def because(assignee: str | None, team: str, kind: str = "approval") -> str:
    """Say whose a task is."""
    act = "decide" if kind == "approval" else "do it"
    if assignee is not None:
        return f"{assignee} is asked, and nobody else may {act}."
    return f"Any member of {team} may {act}."


def outcome(state: str, decision: str | None, by: str | None) -> str:
    """Say how a task ended; empty while it is open."""
    match state:
        case "decided":
            verb = {"approve": "approved", "reject": "rejected"}.get(decision or "", "did")
            return f"{by or 'Somebody'} {verb} this."
        case "expired":
            return "This task was closed by its deadline."
        case "withdrawn":
            return "This task was closed with its run."
        case _:
            return ""


def access_who(act: OpenFact | None, by: str) -> str:
    """Say who gave access, or who has to act first."""
    if act is None:
        return by
    if act.state == "parked":
        who = team_name(act.owner or "it")
        return f"{who}, ticket {act.ticket}" if act.ticket else who
    return by or "newel"


def quoted(text: str) -> str:
    """Write text for an address."""
    return quote(text, safe="")


def process_noun(process: str) -> str:
    """Name what is started, inside a sentence: `access request`."""
    return noun_of(process)


def _moment(moment: datetime, zone: tzinfo, now: datetime) -> str:
    text = inside(when(moment, now, zone))
    near = relative(moment, now)
    return f"{text}, {near}" if near else text


def _colon(text: str) -> str:
    return f": {text.rstrip('.')}" if text else ""


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
