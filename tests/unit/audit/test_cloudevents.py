"""CloudEvents: what is public of a leaf, and nothing that is sealed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from uuid import UUID

from newel.audit import catalogue as facts
from newel.audit.cloudevents import cloud_event
from newel.audit.leaf import Actor, build, instant
from newel.audit.personal import PersonKey, new_key, seal_field

DEPLOYMENT = UUID(int=7)
IDENTITY = "0195f0a1-0000-7000-8000-000000000001"
KEY = PersonKey("per_01j9zk7q3m8t5v2x4y6a8b0c1d/1", new_key(os.urandom))


def sealed(text: str, pointer: str) -> dict[str, object]:
    """Seal a text for somebody."""
    return seal_field(KEY, text, event_id=IDENTITY, pointer=pointer, entropy=os.urandom)


def test_sealed_fields_free_text_and_sessions_stay_here():
    """Only references and public facts are told; the bytes are the same each time."""
    leaf = build(
        facts.PersonRegistered(kind="person", name=sealed("Zoë O'Hara 🦊", "/data/name")),
        id=IDENTITY,
        stream="admin",
        seq=3,
        prev=b"\1" * 32,
        occurred_at=instant(datetime(2026, 1, 5, 9, tzinfo=UTC)),
        actor=Actor(
            type="person",
            id="per_01j9zk7q3m8t5v2x4y6a8b0c1d",
            via="console",
            session="s_secret",
            from_=sealed("192.0.2.1 Firefox", "/actor/from"),
        ),
        subject="per_01j9zk7q3m8t5v2x4y6a8b0c1e",
        system=None,
        reason={"code": "hire", "text": sealed("her uncle asked", "/reason/text")},
    )
    body = cloud_event(leaf.entry, deployment=DEPLOYMENT)
    assert body == cloud_event(leaf.entry, deployment=DEPLOYMENT)
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": IDENTITY,
        "source": f"urn:newel:{DEPLOYMENT}",
        "type": "newel.person.registered.v1",
        "subject": "admin",
        "time": "2026-01-05T09:00:00.000000Z",
        "datacontenttype": "application/json",
        "newelseq": 3,
        "newelleaf": leaf.hash.hex(),
        "data": {
            "actor": {
                "type": "person",
                "id": "per_01j9zk7q3m8t5v2x4y6a8b0c1d",
                "via": "console",
            },
            "person": "per_01j9zk7q3m8t5v2x4y6a8b0c1e",
            "reason": "hire",
            "facts": {"kind": "person"},
        },
    }
