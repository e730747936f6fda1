"""The log as XES, IEEE 1849, for process miners that know one case per trace.

A run is a trace, named by its reference; its steps, waits and tasks are the events, with the moment
of the audit event and who acted. What concerns no run has no place here: OCEL has one. Pure.
Source: https://xes-standard.org (IEEE 1849-2016); our own audit document §16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import quoteattr

__all__ = ["head", "tail", "trace_begun", "trace_ended", "xes_event"]

Json = Any  # Any: JSON

_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849.2016" xes.features="" xmlns="http://www.xes-standard.org/">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<extension name="Identity" prefix="identity" uri="http://www.xes-standard.org/identity.xesext"/>
<global scope="trace">
<string key="concept:name" value="run"/>
</global>
<global scope="event">
<string key="concept:name" value="step"/>
<string key="lifecycle:transition" value="complete"/>
<date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/>
</global>
<classifier name="Activity" keys="concept:name lifecycle:transition"/>
<string key="lifecycle:model" value="standard"/>
"""

_TRANSITIONS: Final[Mapping[str, str]] = {
    "act.recorded": "complete",
    "step.started": "start",
    "step.succeeded": "complete",
    "step.completed_by_hand": "complete",
    "step.skipped": "manualskip",
    "step.failed": "ate_abort",
    "step.attempt_failed": "ate_abort",
    "step.cancelled": "withdraw",
    "step.parked": "suspend",
    "step.retried": "resume",
    "wait.opened": "schedule",
    "wait.closed": "complete",
    "task.opened": "schedule",
    "task.decided": "complete",
}
"""What an audit event is in the standard model of a life cycle; others are no activity."""

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def head() -> bytes:
    """Begin the document."""
    return _HEAD.encode()


def tail() -> bytes:
    """End the document."""
    return b"</log>\n"


def trace_begun(run: str, leaf: Json) -> bytes:
    """Begin the trace of a run; leaf: its first one, which may say what process it follows."""
    parts = [_attribute("string", "concept:name", run)]
    if "process" in leaf:
        parts.append(_attribute("string", "process", leaf["process"]["name"]))
        parts.append(_attribute("int", "version", str(leaf["process"]["version"])))
    return "\n".join(["<trace>", *parts, ""]).encode()


def trace_ended() -> bytes:
    """End a trace."""
    return b"</trace>\n"


def xes_event(leaf: Json) -> bytes | None:
    """Write the event of a leaf; None where it is no activity of its run."""
    transition = _TRANSITIONS.get(leaf["type"])
    if transition is None or _is_said_by_its_task(leaf):
        return None
    parts = [
        _attribute("string", "concept:name", leaf["step"]["key"]),
        _attribute("string", "lifecycle:transition", transition),
        _attribute("date", "time:timestamp", leaf["occurred_at"]),
        _attribute("string", "org:resource", _who(leaf["actor"])),
        _attribute("id", "identity:id", leaf["id"]),
        _attribute("string", "newel_type", leaf["type"]),
    ]
    return "\n".join(["<event>", *parts, "</event>\n"]).encode()


def _is_said_by_its_task(leaf: Json) -> bool:
    """Whether it is the wait for a person, which the events of the task tell as well."""
    facts = leaf["data"]
    return (leaf["type"], facts.get("kind"), facts.get("by")) in {
        ("wait.opened", "task", None),
        ("wait.closed", None, "decision"),
    }


def _who(actor: Json) -> str:
    return str(actor.get("on_behalf_of") or actor["id"])


def _attribute(kind: str, key: str, value: str) -> str:
    return f"<{kind} key={quoteattr(key)} value={quoteattr(_NOT_XML.sub(_REPLACED, value))}/>"
