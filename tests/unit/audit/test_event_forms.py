"""The forms in which other programs read the log: every type has its place, and each is valid.

Schemas: OCSF's own (tests/vectors/ocsf); for its two classes that are not there, OCEL 2.0 and
CloudEvents, schemas built from the text of each standard, in `schemas/`. XES is checked against the
rules of IEEE 1849-2016 that apply to what is written, in code.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from newel.audit import ocel, xes
from newel.audit.catalogue import TYPES, AccessGranted, AccessRevoked, ApprovalAuthority
from newel.audit.cloudevents import cloud_event
from newel.audit.leaf import Actor, ProcessVersion, build
from newel.audit.ocsf import MAPPED, UNMAPPED, ocsf_event
from tests.unit.audit.test_catalogue import DIGEST, _events

VECTORS = Path(__file__).parents[2] / "vectors" / "ocsf"
SCHEMAS = Path(__file__).parent / "schemas"
CLASSES = {
    2005: SCHEMAS / "ocsf_incident_finding.json",
    3001: VECTORS / "account_change.1.8.0.schema.json",
    3004: VECTORS / "entity_management.1.8.0.schema.json",
    3005: VECTORS / "user_access.1.8.0.schema.json",
    3006: VECTORS / "group_management.1.8.0.schema.json",
    6002: SCHEMAS / "ocsf_application_lifecycle.json",
}
PERSON = "per_7h3k9m2p5q8r1s4t6v0w2x4y6z"
RUN = "run_01j9zk7q3m8t5v2x4y6a8b0c1d"


@cache
def schema(path: Path) -> Draft202012Validator:
    """Read a schema."""
    return Draft202012Validator(json.loads(path.read_text("utf-8")))


def valid(path: Path, document: object) -> None:
    """Fail with what is wrong with a document."""
    wrong = [f"{each.json_path}: {each.message}" for each in schema(path).iter_errors(document)]
    assert wrong == []


def leaf_of(event, *, stream=f"run/{RUN}", system="wiki", **more) -> bytes:
    """Build a leaf about a person."""
    return build(
        event,
        id="01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
        stream=stream,
        seq=1,
        prev=b"",
        occurred_at="2026-01-05T07:00:04.118203Z",
        actor=more.pop("actor", Actor(type="key", id="key_1", via="api", on_behalf_of=PERSON)),
        subject=PERSON,
        system=system,
        process=ProcessVersion(name="onboarding", version=12, definition_sha256=DIGEST),
        step={"key": "wiki.give"},
        reason={"code": "skip", "text": {"enc": "A256GCM", "kid": "k", "iv": "i", "ct": "CT"}},
    ).entry


def access(entitlement, *, ended=None, **more) -> bytes:
    """Build the leaf of access that was given, or that has ended."""
    if ended is not None:
        at = datetime.fromisoformat("2026-01-05T07:00:00Z")
        fact = AccessRevoked(
            grant="grt_1",
            state="revoked",
            how=ended,
            cause="leaver",
            due_at=at,
            late_us=0,
            entitlement=entitlement,
        )
        return leaf_of(fact)
    return leaf_of(
        AccessGranted(
            grant="grt_1",
            state="active",
            entitlement=entitlement,
            account_ref="acc_1",
            authority=ApprovalAuthority(event="e", leaf_hash=DIGEST, approver=PERSON),
            effective_at=datetime.fromisoformat("2026-01-05T07:00:00Z"),
            route="scim",
            changed=True,
            **more,
        )
    )


def ocsf_of(entry: bytes):
    """Give the event that OCSF reads, checked."""
    text = ocsf_event(entry, orjson.loads(entry), 17)
    if text is None:
        return None
    found = json.loads(text)
    valid(CLASSES[found["class_uid"]], found)
    return found


def test_every_type_has_a_class_or_a_reason():
    """A type is mapped, or what its name begins with says why not."""
    assert set(TYPES) >= MAPPED
    reasons = tuple(UNMAPPED)
    assert [each for each in set(TYPES) - MAPPED if not each.startswith(reasons)] == []


@pytest.mark.parametrize("cls", TYPES.values(), ids=TYPES)
@settings(max_examples=2)
@given(data=st.data())
def test_any_event_is_valid_in_every_form(cls, data):
    """Whatever a leaf holds, each form of it is valid, and holds nothing that is sealed."""
    entry = leaf_of(data.draw(_events(cls)))
    leaf = orjson.loads(entry)
    told = ocsf_of(entry)
    assert (told is not None) == (cls.type in MAPPED)
    event, related = ocel.ocel_event(leaf)
    objects = b",".join(ocel.ocel_object(*each) for each in {each[:2] for each in related})
    rightly_declared(types() | json.loads(b'{"events":[%b],"objects":[%b]}' % (event, objects)))
    cloud = cloud_event(entry, deployment=UUID(int=1))
    valid(SCHEMAS / "cloudevents.json", json.loads(cloud))
    text = xes.xes_event(leaf)
    trace = xes.head() + xes.trace_begun(RUN, leaf) + (text or b"") + xes.trace_ended()
    valid_xes(trace + xes.tail())
    for form in (json.dumps(told).encode(), event, cloud, trace):
        assert b"A256GCM" not in form


@cache
def types():
    """Give the declared types of OCEL, checked once."""
    document = json.loads(ocel.head() + ocel.middle() + ocel.tail())
    valid(SCHEMAS / "ocel20.json", document)
    return document


def rightly_declared(document) -> None:
    """Every attribute is declared for its type, with a type that its value has."""
    valid(SCHEMAS / "ocel20.json", document | {"eventTypes": [], "objectTypes": []})
    forms = {"integer": r"-?\d+", "boolean": "true|false", "time": r"\d{4}-.*Z", "string": "(?s).*"}
    kinds = {each["name"]: each["attributes"] for each in document["eventTypes"]}
    for event in document["events"]:
        declared = {each["name"]: each["type"] for each in kinds[event["type"]]}
        for each in event["attributes"]:
            assert re.fullmatch(forms[declared[each["name"]]], each["value"]), each
    objects = [each["id"] for each in document["objects"]]
    assert len(objects) == len(set(objects))
    assert {each["type"] for each in document["objects"]} <= set(ocel.OBJECT_TYPES)
    named = {rel["objectId"] for each in document["events"] for rel in each["relationships"]}
    assert named <= set(objects)


XES = "{http://www.xes-standard.org/}"
TRANSITIONS = {
    *("schedule", "assign", "withdraw", "reassign", "start", "suspend", "resume"),
    *("pi_abort", "ate_abort", "complete", "autoskip", "manualskip"),
}


def valid_xes(text: bytes) -> list[ET.Element]:
    """Check what IEEE 1849 asks for of what is written here; answers with the traces."""
    log = ET.fromstring(text)  # made just now, by ourselves
    assert log.tag == f"{XES}log"
    assert log.attrib["xes.version"] == "1849.2016"
    prefixes = {each.attrib["prefix"] for each in log.iter(f"{XES}extension")}
    allowed = ["extension", "global", "classifier", "string", "trace"]
    places = [allowed.index(each.tag.removeprefix(XES)) for each in log]
    assert places == sorted(places)
    for element in [*log.iter(f"{XES}trace"), *log.iter(f"{XES}event")]:
        keys = [each.attrib["key"] for each in element if each.tag != f"{XES}event"]
        assert len(keys) == len(set(keys))
        assert {key.partition(":")[0] for key in keys if ":" in key} <= prefixes
        for each in element:
            if each.tag == f"{XES}date":
                datetime.fromisoformat(each.attrib["value"])
            else:
                assert each.tag.removeprefix(XES) in {"string", "int", "id", "event"}
    for event in log.iter(f"{XES}event"):
        values = {each.attrib["key"]: each.attrib["value"] for each in event}
        assert values["lifecycle:transition"] in TRANSITIONS
        assert {"concept:name", "time:timestamp"} <= set(values)
    return list(log.iter(f"{XES}trace"))


@pytest.mark.parametrize(
    ("entry", "class_uid", "activity"),
    [
        (access("wiki:account"), 3001, 1),
        (access("wiki:account", continues="grt_0"), 3001, 2),
        (access("wiki:account", ended="suspended"), 3001, 5),
        (access("wiki:account", ended="removed"), 3001, 6),
        (access("github:team/platform", level="member"), 3006, 3),
        (access("github:team/platform", ended="removed"), 3006, 4),
        (access("jira:role/admin", level="owner"), 3005, 1),
        (access("jira:role/admin", ended="removed"), 3005, 2),
    ],
)
def test_access_goes_by_the_kind_of_the_entitlement(entry, class_uid, activity):
    """An account is created, enabled, disabled, deleted; a team is joined; the rest is a right."""
    told = ocsf_of(entry)
    assert (told["class_uid"], told["activity_id"]) == (class_uid, activity)
    assert told["user"]["uid"] == PERSON
    assert told["actor"]["user"] == {"uid": PERSON, "type_id": 1, "type": "User"}
    assert told["metadata"]["correlation_uid"] == RUN
    assert (told["metadata"]["sequence"], told["time"]) == (17, 1767596404118)
    missing = {name: value for name, value in told.items() if name != "user"}
    if class_uid != 3006:  # a group event may stand without
        assert schema(CLASSES[class_uid]).is_valid(missing) is False


def test_the_example_of_the_schema_is_valid():
    """The schema that judges us accepts the example that came with it."""
    valid(CLASSES[3005], json.loads((VECTORS / "user_access.1.8.0.example.json").read_text()))


def test_what_xml_cannot_hold_is_replaced():
    """A name with quotes, an ampersand and a control character becomes an attribute."""
    leaf = orjson.loads(access("wiki:account"))
    leaf["type"], leaf["step"] = "step.succeeded", {"key": "o'hara\x02\"<&🦊"}
    (trace,) = valid_xes(
        xes.head()
        + xes.trace_begun(RUN, leaf)
        + (xes.xes_event(leaf) or b"")
        + xes.trace_ended()
        + xes.tail()
    )
    assert "o'hara\N{REPLACEMENT CHARACTER}\"<&🦊" in [
        each.attrib["value"] for each in trace.iter(f"{XES}string")
    ]
