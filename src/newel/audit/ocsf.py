"""An audit event as OCSF 1.8.0 writes it, for whoever watches security events of many products.

Only what OCSF has a class for is written: access, accounts and groups, what is set up, incidents,
servers. `MAPPED` and `UNMAPPED` name every type of the catalogue, the latter with the reason; a
type that is in neither is a mistake that a test finds. People are opaque references, as in the
leaf; sealed fields are left out. Pure.
Source: https://schema.ocsf.io/1.8.0; our own audit document §16.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from newel.audit.canonical import leaf_hash
from newel.audit.cloudevents import public

__all__ = ["MAPPED", "UNMAPPED", "VERSION", "ocsf_event"]

VERSION: Final = "1.8.0"

Json = Any  # Any: JSON


class _Class(NamedTuple):
    """A class of events, and how it calls what newel's events do."""

    uid: int
    name: str
    category: str
    activities: Mapping[int, str]


_IDENTITY: Final = "Identity & Access Management"
_ACCOUNT: Final = _Class(
    3001, "Account Change", _IDENTITY, {1: "Create", 2: "Enable", 5: "Disable", 6: "Delete"}
)
_ENTITY: Final = _Class(
    3004,
    "Entity Management",
    _IDENTITY,
    {1: "Create", 3: "Update", 4: "Delete", 8: "Enable", 9: "Disable"},
)
_ACCESS: Final = _Class(
    3005, "User Access Management", _IDENTITY, {1: "Assign Privileges", 2: "Revoke Privileges"}
)
_GROUP: Final = _Class(3006, "Group Management", _IDENTITY, {3: "Add User", 4: "Remove User"})
_INCIDENT: Final = _Class(
    2005, "Incident Finding", "Findings", {1: "Create", 2: "Update", 3: "Close"}
)
_LIFECYCLE: Final = _Class(
    6002, "Application Lifecycle", "Application Activity", {3: "Start", 4: "Stop", 8: "Update"}
)

_ENTITIES: Final[Mapping[str, tuple[int, str, str]]] = {
    "process.registered": (1, "Process", ""),
    "schedule.registered": (1, "Schedule", "schedule"),
    "schedule.retired": (4, "Schedule", "schedule"),
    "schedule.paused": (9, "Schedule", "schedule"),
    "schedule.resumed": (8, "Schedule", "schedule"),
    "admin.key_created": (1, "API Key", "key"),
    "admin.key_revoked": (4, "API Key", "key"),
    "admin.webhook_configured": (3, "Webhook Endpoint", "endpoint"),
    "admin.webhook_retired": (4, "Webhook Endpoint", "endpoint"),
    "admin.webhook_disabled": (9, "Webhook Endpoint", "endpoint"),
    "admin.webhook_enabled": (8, "Webhook Endpoint", "endpoint"),
    "setting.changed": (3, "Setting", "name"),
    "connector.configured": (3, "Connector", ""),
    "connector.paused": (9, "Connector", ""),
    "connector.resumed": (8, "Connector", ""),
}
"""Activity, kind of entity, and the fact that names it (the process or system where none does)."""

_INCIDENTS: Final[Mapping[str, tuple[int, int]]] = {
    "incident.opened": (1, 1),
    "incident.attached": (2, 2),
    "incident.ticketed": (2, 2),
    "incident.ticket_failed": (2, 2),
    "incident.closed": (3, 5),
}
"""Activity and status: new, in progress, closed."""

_SERVICES: Final[Mapping[str, int]] = {
    "service.started": 3,
    "service.stopped": 4,
    "service.migrated": 8,
    "service.worker_lost": 4,
}
_ACCESS_TYPES: Final = ("access.granted", "access.modified", "access.revoked")

MAPPED: Final = frozenset({*_ACCESS_TYPES, *_ENTITIES, *_INCIDENTS, *_SERVICES})
"""The types that are written."""

UNMAPPED: Final[Mapping[str, str]] = {
    "access.": "a request, a decision or a reading: nothing has changed in the system",
    "act.": "a decision inside a run; OCSF has no class for the course of a process",
    "admin.": "it changes nobody's rights and no setting",
    "data.": "OCSF has no class for an export by the owner of the data",
    "event.": "a message for a run; OCSF has no class for the course of a process",
    "log.": "the log speaks of itself; a verifier judges it, not an event in a copy",
    "person.": "the directory of people is HR's, and OCSF has no class for it",
    "service.restore_checked": "a comparison with copies: no program began, ended or changed",
    "run.": "OCSF has no class for the course of a process",
    "step.": "OCSF has no class for the course of a process",
    "subject.": "the directory of people is HR's, and OCSF has no class for it",
    "task.": "OCSF has no class for human work",
    "wait.": "OCSF has no class for the course of a process",
}
"""Why other types are not written, by what their names begin with."""


def ocsf_event(entry: bytes, leaf: Json, index: int) -> bytes | None:
    """Write the event of a leaf as one JSON object; None where OCSF has no class for its type.

    leaf: the entry, read. index: its place in the log. The same leaf gives the same bytes.
    """
    kind = leaf["type"]
    if kind in _ACCESS_TYPES:
        told = _access(leaf)
    elif kind in _ENTITIES:
        told = _entity(leaf, *_ENTITIES[kind])
    elif kind in _INCIDENTS:
        told = _incident(leaf, *_INCIDENTS[kind])
    elif kind in _SERVICES:
        told = _service(leaf, _SERVICES[kind])
    else:
        return None
    return orjson.dumps({**_base(entry, leaf, index), **told}, option=orjson.OPT_SORT_KEYS)


def _base(entry: bytes, leaf: Json, index: int) -> Json:
    """Give what every class has."""
    metadata = {
        "uid": leaf["id"],
        "sequence": index,
        "version": VERSION,
        "event_code": leaf["type"],
        "log_name": leaf["stream"],
        "product": {"name": "newel", "vendor_name": "newel"},
    }
    if leaf["stream"].startswith("run/"):
        metadata["correlation_uid"] = leaf["stream"].removeprefix("run/")
    return {
        "time": _milliseconds(leaf["occurred_at"]),
        "severity_id": 1,
        "severity": "Informational",
        "metadata": metadata,
        "actor": _actor(leaf["actor"]),
        "unmapped": {
            "leaf_hash": leaf_hash(entry).hex(),
            "facts": public(leaf["data"]),
            **({"system": leaf["system"]} if leaf["system"] is not None else {}),
        },
    }


def _of(its: _Class, activity: int) -> Json:
    return {
        "activity_id": activity,
        "activity_name": its.activities[activity],
        "category_uid": its.uid // 1000,
        "category_name": its.category,
        "class_uid": its.uid,
        "class_name": its.name,
        "type_uid": its.uid * 100 + activity,
        "type_name": f"{its.name}: {its.activities[activity]}",
    }


def _access(leaf: Json) -> Json:
    """Tell of an account, a membership or another right, by the kind of the entitlement."""
    facts = leaf["data"]
    entitlement = facts.get("entitlement") or f"{leaf['system']}:unknown"
    is_end = leaf["type"] == "access.revoked"
    kind = entitlement.partition(":")[2].partition("/")[0]
    user = {"uid": leaf["subject"] or facts["grant"], "type_id": 1, "type": "User"}
    if facts.get("account_ref"):
        user["account"] = {"uid": facts["account_ref"]}
    if kind == "account":
        if is_end:
            activity = 5 if facts["how"] == "suspended" else 6
        else:
            activity = 2 if "continues" in facts or "from" in facts else 1
        return {**_of(_ACCOUNT, activity), "user": user, **_succeeded()}
    right = f"{entitlement}@{facts['level']}" if "level" in facts else entitlement
    if kind in {"group", "team"}:
        group = {"uid": entitlement, "name": entitlement.partition("/")[2] or entitlement}
        activity = 4 if is_end else 3
        told = {"user": user, "group": group, "privileges": [right]}
        return {**_of(_GROUP, activity), **told, **_succeeded()}
    return {
        **_of(_ACCESS, 2 if is_end else 1),
        "user": user,
        "privileges": [right],
        **_succeeded(),
    }


def _entity(leaf: Json, activity: int, kind: str, named_by: str) -> Json:
    if named_by:
        name = leaf["data"][named_by]
    elif leaf["type"] == "process.registered":
        name = f"{leaf['process']['name']}@{leaf['process']['version']}"
    else:
        name = leaf["system"] or "unknown"
    entity = {"uid": name, "name": name, "type": kind}
    return {**_of(_ENTITY, activity), "entity": entity, **_succeeded()}


def _incident(leaf: Json, activity: int, status: int) -> Json:
    incident = leaf["data"]["incident"]
    title = f"{leaf['system'] or 'A system'} holds up steps"
    told = {1: "New", 2: "In Progress", 5: "Closed"}[status]
    return {
        **_of(_INCIDENT, activity),
        "finding_info_list": [{"uid": incident, "title": title}],
        "status_id": status,
        "status": told,
    }


def _service(leaf: Json, activity: int) -> Json:
    is_lost = leaf["type"] == "service.worker_lost"
    app = {"name": "newel", "vendor_name": "newel"}
    if "version" in leaf["data"]:
        app["version"] = leaf["data"]["version"]
    ended = {"status_id": 2, "status": "Failure"} if is_lost else _succeeded()
    return {**_of(_LIFECYCLE, activity), "app": app, **ended}


def _succeeded() -> Json:
    return {"status_id": 1, "status": "Success"}


def _actor(actor: Json) -> Json:
    """Tell who acted: a person as a user, anything else as what called on its own behalf."""
    kinds = {"person": (1, "User"), "service": (4, "Service"), "system": (3, "System")}
    type_id, name = kinds.get(actor["type"], (99, "API Key"))
    acting = actor.get("on_behalf_of") or actor["id"]
    if acting != actor["id"]:
        type_id, name = kinds["person"]
    told = {"user": {"uid": acting, "type_id": type_id, "type": name}}
    return told if "via" not in actor else {**told, "app_name": actor["via"]}


def _milliseconds(occurred_at: str) -> int:
    moment = datetime.fromisoformat(occurred_at)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
