import io
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from newel.base.clock import FakeClock
from newel.base.log import Service, configure, declare, logger, transition_line
from newel.base.redaction import LONGEST_TEXT, MOST_ITEMS, redacted, redacted_text
from newel.base.secrets import Secret

SERVICE = Service(service="worker", version="0.1.0", server="w_3")
CANARIES = [
    "Jane.O'Hara+x@example.com",
    "jane.doe@mail.example.co.uk",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "123-45-6789",
    "QQ 12 34 56 C".replace("QQ", "AB"),
    "86 095 742 719",
    "4111 1111 1111 1111",
    "ghp_0123456789abcdefghij",
    "github_pat_11AAAAAA0abcdefgh",
    "xoxb-123456789012-abcdefgh",
    "ya29.a0AfH6SMBabcdefgh",
    "newel_ab12cd34_0123456789abcdef",
    "Bearer abcdef0123456789",
    "Basic dXNlcjpwYXNzd29yZA==",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEow",
    "password: hunter2",
    "token=abc",
]


@pytest.fixture
def lines():
    """Set up the log into memory and give a function that reads its lines."""
    stream = io.BytesIO()
    clock = FakeClock(datetime(2026, 1, 5, 7, tzinfo=UTC))
    configure(SERVICE, stream=stream, clock=clock)
    yield lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()


START = {
    "ts": "2026-01-05T07:00:00.000000Z",
    "event": "lease lost",
    "service": "worker",
    "version": "0.1.0",
    "server": "w_3",
}


def test_a_line_holds_what_is_declared(lines):
    """Declared fields and those of the run stand in the line, others are only named."""
    lost = declare("lease lost", "epoch")
    logger(run="run_1").warning(lost, worker="w_3", epoch=4, nickname="Jay")
    assert lines() == [
        {
            **START,
            "level": "warning",
            "run": "run_1",
            "worker": "w_3",
            "epoch": 4,
            "dropped": ["nickname"],
        }
    ]


def test_a_fact_may_be_declared_twice(lines):
    """Two modules may give one fact different fields."""
    declare("lease lost", "epoch")
    declare("lease lost", "until")
    logger().info("lease lost", epoch=1, until="soon")
    assert lines() == [{**START, "level": "info", "epoch": 1, "until": "soon"}]


def test_what_is_bound_stands_in_every_line(lines):
    """Fields bound to a logger, or to the context, are checked like the others."""
    bound = logger().bind(key="pay", address="Elm Street 1")
    with structlog.contextvars.bound_contextvars(trace_id="ab" * 16):
        bound.info(declare("lease lost"))
    assert lines() == [
        {**START, "level": "info", "key": "pay", "trace_id": "ab" * 16, "dropped": ["address"]}
    ]


def test_lines_below_the_level_are_not_written(lines):
    """By default, debugging is left out."""
    logger().debug(declare("lease lost"))
    assert lines() == []


def test_debugging_can_be_switched_on():
    """With the level at debug, its lines are written."""
    stream = io.BytesIO()
    configure(SERVICE, stream=stream, level=logging.DEBUG)
    logger().debug(declare("lease lost"))
    structlog.reset_defaults()
    assert orjson.loads(stream.getvalue())["level"] == "debug"


def _raise(text):
    raise ValueError(text)


@pytest.mark.parametrize("as_given", ["flag", "error", "triple"])
def test_an_exception_tells_class_and_place_only(lines, as_given):
    """The text of an exception may quote anything, so it is not written."""
    try:
        _raise("planted")
    except ValueError as error:
        given_error = {"flag": True, "error": error, "triple": sys.exc_info()}[as_given]
        logger().error(declare("lease lost"), exc_info=given_error)
    (line,) = lines()
    assert line["raised"]["class"] == "ValueError"
    assert line["raised"]["at"][-1].endswith(" _raise")
    assert "planted" not in str(line)


def test_no_exception_is_no_exception(lines):
    """Asked for where none is, an exception is simply absent."""
    logger().error(declare("lease lost"), exc_info=True)
    assert lines() == [{**START, "level": "error"}]


@pytest.mark.parametrize("canary", CANARIES)
def test_planted_values_do_not_appear(lines, canary):
    """Whatever field, event text or name it comes in by, a planted value is taken out."""
    noted = declare("note taken", "note", "many", "record")
    logger().info(noted, note=f"x {canary} y", many=[canary], record={"a": {"b": (canary,)}})
    logger().info(f"hello {canary}", note=canary)
    logger().info(noted, record={canary: 1})
    logger(key=f"pay[{canary}]").info(noted, **{f"x {canary}": 1})
    written = orjson.dumps(lines()).decode()
    assert canary not in written
    assert orjson.dumps(canary).decode()[1:-1] not in written


@pytest.mark.parametrize(
    "text",
    [
        "run_01j9zk7q3m8t5v2x4y6a8b0c1d",
        "01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
        "60d3f1255de1aecee70d102760ac18558bcc2c919fef8d4213c94793355468a5",
        "ab12cdef0123456789abcdef01234567",
        "github.grant[platform]#2",
        "/orgs/{org}/teams/{team}/memberships/{username}",
        "2026-01-05T07:00:04.118203Z",
        "9F1C:2A7B",
        "503 after 12345678901 microseconds",
    ],
)
def test_references_and_hashes_stay(text):
    """What newel itself writes is not mistaken for a person's data."""
    written = redacted_text(text)
    assert written == text.replace("12345678901", "***")


@pytest.mark.parametrize(
    "name", ["password", "api_key", "apiKey", "Authorization", "set-cookie", "email", "iban"]
)
def test_a_secret_name_hides_its_value(name):
    """A field whose name speaks of a secret or a person loses its value, at any depth."""
    assert redacted(name, "x") == "***"
    assert redacted("record", {"inner": {name: 3}}) == {"inner": {name: "***"}}


def test_long_things_are_cut():
    """Text, lists, records and depth have an end."""
    assert redacted_text("x" * 10_000) == "x" * LONGEST_TEXT + "…"
    assert redacted("note", list(range(1_000))) == list(range(MOST_ITEMS))
    assert redacted("note", {str(n): n for n in range(1_000)}) == {
        str(n): n for n in range(MOST_ITEMS)
    }
    assert redacted("note", [[[[["deep"]]]]]) == [[[["…"]]]]


def test_other_values_become_text():
    """Anything else is written as its text, redacted; a secret shows itself as stars."""
    assert redacted("note", datetime(2026, 1, 5, tzinfo=UTC)) == "2026-01-05 00:00:00+00:00"
    assert redacted("note", Secret("planted")) == "***"
    assert redacted("note", frozenset({"a"})) == ["a"]
    assert [redacted("note", value) for value in (None, True, 3, 0.5)] == [None, True, 3, 0.5]
    assert redacted("note", 2**60) == "0x1000000000000000"
    assert len(str(redacted("note", 10**9_000))) == LONGEST_TEXT


@given(
    st.text(st.characters(categories=["L", "C", "P"])),
    st.recursive(st.text(st.characters(categories=["Cs", "L"])) | st.integers(), st.lists),
)
def test_every_line_is_json(event, note):
    """Whatever is logged, half surrogates and huge numbers included, the line is JSON."""
    stream = io.BytesIO()
    configure(SERVICE, stream=stream)
    logger().info(event, note=note)
    logger().info(declare("note taken", "note"), note=note)
    structlog.reset_defaults()
    first, second = stream.getvalue().splitlines()
    assert orjson.loads(first)["level"] == "info"
    assert orjson.loads(second)["event"] == "note taken"


FULL: dict[str, Any] = {
    "event": "step.succeeded",
    "occurred_at": "2026-01-05T07:00:04.118203Z",
    "id": "01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
    "stream": "run/run_01j9zk7q3m8t5v2x4y6a8b0c1d",
    "seq": 7,
    "leaf_hash": bytes(range(32)),
    "run": "run_01j9zk7q3m8t5v2x4y6a8b0c1d",
    "process": "onboarding",
    "key": "github.grant[platform]",
    "attempt": 1,
    "round": 2,
    "subject": "per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
    "system": "github",
    "trace_id": "ab" * 16,
}
AUDIT = {
    "id": FULL["id"],
    "stream": FULL["stream"],
    "seq": 7,
    "leaf_hash": bytes(range(32)).hex(),
}


def test_the_line_of_a_committed_event():
    """It holds the run, key, attempt, round, subject, system, and the event with its hash."""
    line = transition_line(SERVICE, **FULL)
    assert line.endswith(b"}\n")
    assert orjson.loads(line) == {
        **START,
        "ts": FULL["occurred_at"],
        "level": "info",
        "event": "step.succeeded",
        "run": FULL["run"],
        "process": "onboarding",
        "key": "github.grant[platform]",
        "attempt": 1,
        "round": 2,
        "subject": FULL["subject"],
        "system": "github",
        "trace_id": "ab" * 16,
        "audit": AUDIT,
    }


def test_the_line_of_a_confidential_run_tells_ids_only():
    """Process, system, key and subject are left out until the run is disclosed."""
    line = orjson.loads(transition_line(SERVICE, **FULL, confidential=True))
    assert {"process", "key", "subject", "system"} & line.keys() == set()
    assert (line["run"], line["audit"]) == (FULL["run"], AUDIT)


def test_the_line_of_an_event_without_a_run():
    """An event of another stream has no run, key or attempt."""
    needed = ("event", "occurred_at", "id", "stream", "seq", "leaf_hash")
    line = orjson.loads(transition_line(SERVICE, **{name: FULL[name] for name in needed}))
    assert (line["run"], line["subject"], line["system"]) == (None, None, None)
    assert {"process", "key", "attempt", "round", "trace_id"} & line.keys() == set()


def test_a_mail_address_in_a_key_is_taken_out():
    """The engine refuses such keys; if one comes through, the line hides it all the same."""
    line = orjson.loads(transition_line(SERVICE, **{**FULL, "key": "pay[jane@example.com]"}))
    assert "jane" not in line["key"]
