"""An audit event as a CloudEvent, for systems outside: what is public of its leaf and nothing else.

    id         of the leaf, the same in every attempt and for every receiver
    source     urn:newel:<deployment>          type   newel.<type>.v1
    subject    the stream (run/run_…)          time   when it happened
    newelseq   its place in the stream         newelleaf   the hash of its leaf
    data       actor, person, process, step, system, run_state and `facts`, as the leaf has them

Sealed fields, free text and sessions are left out; what stands in clear in a leaf is public by the
rules of the catalogue. The hash lets whoever holds the log find the leaf again. Pure.
Source: CloudEvents 1.0.2 (structured mode, JSON); our own audit document §15 and §16.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from newel.audit.canonical import leaf_hash
from newel.audit.leaf import instant

__all__ = ["MEDIA_TYPE", "cloud_event", "ping", "public"]

MEDIA_TYPE: Final = "application/cloudevents+json"
_ACTOR: Final = ("type", "id", "via", "on_behalf_of")
_SEALED: Final = {"enc", "kid", "iv", "ct"}

Json = Any  # Any: JSON


def cloud_event(entry: bytes, *, deployment: UUID) -> bytes:
    """Write the event of a leaf; the same leaf gives the same bytes."""
    leaf = orjson.loads(entry)
    reason = leaf.get("reason")
    data = {
        "actor": {name: leaf["actor"][name] for name in _ACTOR if name in leaf["actor"]},
        "person": leaf["subject"],
        "process": leaf.get("process"),
        "step": leaf.get("step"),
        "system": leaf["system"],
        "run_state": leaf.get("run_state"),
        "reason": None if reason is None else reason.get("code"),
        "facts": public(leaf["data"]),
    }
    event = {
        "specversion": "1.0",
        "id": leaf["id"],
        "source": f"urn:newel:{deployment}",
        "type": f"newel.{leaf['type']}.v1",
        "subject": leaf["stream"],
        "time": leaf["occurred_at"],
        "datacontenttype": "application/json",
        "newelseq": leaf["seq"],
        "newelleaf": leaf_hash(entry).hex(),
        "data": {name: value for name, value in data.items() if value is not None},
    }
    return orjson.dumps(event)


def ping(identity: str, at: datetime, *, deployment: UUID) -> bytes:
    """Write an event that says nothing, for whoever wants to see that it arrives."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": identity,
            "source": f"urn:newel:{deployment}",
            "type": "newel.ping.v1",
            "time": instant(at),
        }
    )


def public(value: Json) -> Json:
    """Give facts without the fields that are sealed for a person."""
    if isinstance(value, dict):
        return {name: public(each) for name, each in value.items() if not _is_sealed(each)}
    if isinstance(value, list):
        return [public(each) for each in value if not _is_sealed(each)]
    return value


def _is_sealed(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == _SEALED
