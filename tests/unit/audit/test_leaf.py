import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.audit.canonical import leaf_bytes
from newel.audit.catalogue import RunCompleted, RunPaused, StepStarted, StepSucceeded
from newel.audit.leaf import (
    Actor,
    Envelope,
    Leaf,
    ProcessVersion,
    build,
    instant,
    leaf_hash,
    parse,
)
from newel.base.errors import LogInconsistent, NotJournalable

# The checked example of the audit document, §3.1.
EXAMPLE = (
    b'{"actor":{"id":"newel","type":"system","via":"worker/w_3"},"data":{"account_ref":'
    b'"acc_0a1b2c3d4e5f6g7h8j9k0m1n2p","authority":{"approver":"per_3q5r7s9t1v3w5x7y9z2a4b6c8d",'
    b'"event":"01990a31-0c55-7d02-9a61-1f0e5d4c3b2a","kind":"approval","leaf_hash":'
    b'"c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"},"changed":true,'
    b'"effective_at":"2026-01-05T07:00:04.118203Z","entitlement":"github:team/platform",'
    b'"grant":"grt_2c4e6g8j0k1m3n5p7q9r2s4t6v","http":{"host":"api.github.com","method":"PUT",'
    b'"path":"/orgs/{org}/teams/{team}/memberships/{username}","request_id":"9F1C:2A7B",'
    b'"status":200},"level":"member","state":"active"},'
    b'"id":"01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11","occurred_at":"2026-01-05T07:00:04.118203Z",'
    b'"prev":"4d7c0f5e9b1a2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5",'
    b'"process":{"definition_sha256":'
    b'"9b74c9897bac770ffc029102a200c5de4c1a2f0b9d3e5a7c8b6f4d2e1a0c3b5d","name":"onboarding",'
    b'"version":12},"seq":7,"step":{"attempt":1,"key":"github.grant[platform]","round":1},'
    b'"stream":"run/run_01j9zk7q3m8t5v2x4y6a8b0c1d","subject":"per_7h3k9m2p5q8r1s4t6v0w2x4y6z",'
    b'"system":"github","type":"access.granted","v":1}'
)
FIRST = {
    "v": 1,
    "id": "01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
    "stream": "run/run_01j9zk7q3m8t5v2x4y6a8b0c1d",
    "seq": 1,
    "prev": "",
    "type": "run.paused",
    "occurred_at": "2026-01-05T07:00:04.118203Z",
    "actor": {"type": "system", "id": "newel"},
    "subject": None,
    "system": None,
    "data": {},
}
WORKER = Actor(type="system", id="newel", via="worker/w_3")
ONBOARDING = ProcessVersion(name="onboarding", version=12, definition_sha256="9b" * 32)
STEP = {"key": "github.grant[platform]", "attempt": 1, "round": 1}


def _built(event, **changed) -> Leaf:
    places = {
        "id": FIRST["id"],
        "stream": FIRST["stream"],
        "seq": 7,
        "prev": bytes(32),
        "occurred_at": FIRST["occurred_at"],
        "actor": WORKER,
        "subject": "per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
        "system": "github",
        "process": ONBOARDING,
        "step": STEP,
    }
    return build(event, **{**places, **changed})


def test_the_checked_example():
    """Its bytes are canonical, its hash is the one in the document, and it reads as it says."""
    assert leaf_hash(EXAMPLE).hex() == (
        "60d3f1255de1aecee70d102760ac18558bcc2c919fef8d4213c94793355468a5"
    )
    read = parse(EXAMPLE)
    assert leaf_bytes(read.json) == EXAMPLE
    assert (read.type, read.seq, read.subject, read.system) == (
        "access.granted",
        7,
        "per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
        "github",
    )
    assert read.step == STEP
    assert (read.run_state, read.reason, read.trace_id) == (None, None, None)


def test_a_built_leaf_reads_back():
    """What is built is canonical, hashed, and says what was given."""
    event = StepSucceeded(outcome_digest="ab" * 32, duration_us=1_234, changed=True)
    leaf = _built(event, trace_id="cd" * 16, run_state="waiting")
    assert leaf.hash == leaf_hash(leaf.entry)
    assert parse(leaf.entry) == Envelope(
        v=1,
        id="01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
        stream="run/run_01j9zk7q3m8t5v2x4y6a8b0c1d",
        seq=7,
        prev="00" * 32,
        type="step.succeeded",
        occurred_at="2026-01-05T07:00:04.118203Z",
        actor={"type": "system", "id": "newel", "via": "worker/w_3"},
        subject="per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
        system="github",
        data={"outcome_digest": "ab" * 32, "duration_us": 1_234, "changed": True},
        process=None,
        step=STEP,
        run_state="waiting",
        reason=None,
        trace_id="cd" * 16,
        payload_sha256=None,
        json=json.loads(leaf.entry),
    )


def test_a_type_decides_what_its_leaf_carries():
    """Process and step stand only in the leaves of types that carry them."""
    started = StepStarted(idempotency_key="k", input_fp="f", direction="act")
    completed = RunCompleted(outcome_digest="ab" * 32, active_us=1, elapsed_us=2)
    read = [parse(_built(event).entry) for event in (started, completed, RunPaused())]
    assert [(envelope.step, envelope.process) for envelope in read] == [
        (STEP, None),
        (None, {"name": "onboarding", "version": 12, "definition_sha256": "9b" * 32}),
        (None, None),
    ]


def test_a_type_may_fix_the_state_of_the_run():
    """A completed run is completed; where the type leaves it open, the writer says it or nobody."""
    completed = RunCompleted(outcome_digest="ab" * 32, active_us=1, elapsed_us=2)
    states = [
        parse(_built(event, run_state=given).entry).run_state
        for event, given in [(completed, None), (RunPaused(), None), (RunPaused(), "waiting")]
    ]
    assert states == ["completed", None, "waiting"]


@pytest.mark.parametrize(("absent", "event"), [("step", "step"), ("process", "run")])
def test_a_leaf_without_what_its_type_carries_is_refused(absent, event):
    """A step's event needs its step, a process's event its process."""
    made = (
        StepStarted(idempotency_key="k", input_fp="f", direction="act")
        if event == "step"
        else RunCompleted(outcome_digest="ab" * 32, active_us=1, elapsed_us=2)
    )
    with pytest.raises(NotJournalable, match=f"cannot stand without its {absent}"):
        _built(made, **{absent: None})


def test_a_reason_is_checked():
    """The reason of a verb stands in the leaf; foreign types in it are refused."""
    read = parse(_built(RunPaused(), reason={"code": "contract-unsigned"}).entry)
    assert read.reason == {"code": "contract-unsigned"}
    with pytest.raises(NotJournalable, match="it holds a float"):
        _built(RunPaused(), reason={"code": 0.5})


def test_the_first_leaf_of_a_stream_has_no_leaf_before():
    """At 1 the hash before is empty."""
    assert parse(_built(RunPaused(), seq=1, prev=b"").entry).prev == ""


def test_an_actor_tells_how_they_came():
    """All that is known of an actor stands in the leaf, and nothing that is not."""
    sealed = {"enc": "A256GCM", "kid": "per_x/1", "iv": "a", "ct": "b"}
    actor = Actor(
        type="person",
        id="per_3q5r7s9t1v3w5x7y9z2a4b6c8d",
        via="console",
        on_behalf_of="per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
        session="s_1",
        from_=sealed,
    )
    assert parse(_built(RunPaused(), actor=actor).entry).actor == {
        "type": "person",
        "id": "per_3q5r7s9t1v3w5x7y9z2a4b6c8d",
        "via": "console",
        "on_behalf_of": "per_7h3k9m2p5q8r1s4t6v0w2x4y6z",
        "session": "s_1",
        "from": sealed,
    }
    assert parse(_built(RunPaused(), actor=Actor(type="service", id="svc_cli")).entry).actor == {
        "type": "service",
        "id": "svc_cli",
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 5, 7, tzinfo=UTC), "2026-01-05T07:00:00.000000Z"),
        (datetime(2026, 1, 5, 7, 0, 4, 118_203, tzinfo=UTC), "2026-01-05T07:00:04.118203Z"),
        (
            datetime(2026, 1, 5, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2026-01-04T18:45:00.000000Z",
        ),
    ],
)
def test_a_moment_in_a_leaf(moment, text):
    """Moments are UTC with six digits of a second."""
    assert instant(moment) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_read_back(moment):
    """The text of a moment is the moment."""
    assert datetime.fromisoformat(instant(moment)) == moment


def _changed(**changed):
    return leaf_bytes({**FIRST, **changed})


def _without(name):
    return leaf_bytes({member: value for member, value in FIRST.items() if member != name})


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(_changed(), id="as it is"),
        pytest.param(_changed(type="moon.phase_seen", data={"unknown": [1]}), id="unknown type"),
        pytest.param(_changed(more={"unknown": True}), id="unknown member"),
        pytest.param(_changed(stream="admin"), id="stream admin"),
        pytest.param(_changed(stream="system/google"), id="stream of a system"),
        pytest.param(_changed(data={"text": "Zoë \U0001f389 \\"}), id="other scripts"),
    ],
)
def test_a_good_leaf_is_read(entry):
    """Later versions may add types and members; a reader takes them as valid."""
    assert leaf_bytes(parse(entry).json) == entry


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (b"", "a leaf of 0 bytes"),
        (b"1", "a leaf of 1 bytes"),
        (b"[" * 40_000, "a leaf of 40000 bytes"),
        (b"{}", "`v` is missing"),
        (b"[]", "the leaf is no object"),
        (b"{]", "the leaf is no JSON of whole numbers and text"),
        (b"[" * 32_000, "the leaf is no JSON of whole numbers and text"),
        (b'{"a":\xff}', "the leaf is no JSON of whole numbers and text"),
        (b'{"a":1.0}', "the leaf is no JSON of whole numbers and text"),
        (b'{"a":NaN}', "the leaf is no JSON of whole numbers and text"),
        (b'{"a":1e3}', "the leaf is no JSON of whole numbers and text"),
        (b'{"a":9007199254740992}', "a number in it is 2^53 or more."),
        (b'{"a": 1}', "the leaf is not in canonical form"),
        (b'{"a":1}\n', "the leaf is not in canonical form"),
        (b'{"b":1,"a":1}', "the leaf is not in canonical form"),
        (b'{"a":1,"a":2}', "the leaf is not in canonical form"),
        (b'{"a":"\\u0041"}', "the leaf is not in canonical form"),
        (b'{"a":"\\/"}', "the leaf is not in canonical form"),
        (b'{"a":-0}', "the leaf is not in canonical form"),
        (b'{"a":"\\u0000"}', "a text in it holds U+0000."),
        (b'{"a":"\\ud800"}', "half a surrogate pair."),
        ('{"ä":1}'.encode(), "a name in it is not ASCII."),
        (b'\xef\xbb\xbf{"a":1}', "the leaf is not in canonical form"),
        (_without("subject"), "`subject` is missing"),
        (_without("system"), "`system` is missing"),
        (_without("data"), "`data` is missing"),
        (_changed(subject=3), "`subject` is of the wrong kind"),
        (_changed(v=2), "version 2 is not known"),
        (_changed(v=True), "`v` is of the wrong kind"),
        (_changed(seq=0), "`seq` is below 1"),
        (_changed(seq=True), "`seq` is of the wrong kind"),
        (_changed(seq=2), "`prev` is empty at the first event of a stream and only there"),
        (_changed(prev="00" * 32), "`prev` is empty at the first event of a stream and only there"),
        (_changed(seq=2, prev="AA" * 32), "`prev` is no hash"),
        (_changed(id="01990A3C-5B1E-7C40-8F2A-6D1E0B7C9A11"), "`id` has the wrong form"),
        (_changed(id="01990a3c-5b1e-4c40-8f2a-6d1e0b7c9a11"), "`id` has the wrong form"),
        (_changed(stream="run"), "`stream` has the wrong form"),
        (_changed(type="paused"), "`type` has the wrong form"),
        (_changed(occurred_at="2026-01-05T07:00:04Z"), "`occurred_at` has the wrong form"),
        (_changed(trace_id="x"), "`trace_id` has the wrong form"),
        (_changed(step="pay"), "`step` is of the wrong kind"),
        (_changed(run_state=None), "`run_state` is of the wrong kind"),
    ],
)
def test_a_bad_leaf_is_refused_with_its_place(entry, what):
    """Every departure from the form is refused; the message says where and what."""
    with pytest.raises(LogInconsistent) as refused:
        parse(entry, at="admin/3")
    assert str(refused.value).startswith("The audit log is wrong at admin/3: ")
    assert str(refused.value).endswith(what)


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_anything_is_read_or_refused(entry):
    """Reading never fails in another way than by saying that the log is wrong."""
    with pytest.raises(LogInconsistent):
        parse(entry)


@given(st.integers(0, len(EXAMPLE) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place, change):
    """A leaf with one byte changed has another hash, whether it can be read or not."""
    changed = bytearray(EXAMPLE)
    changed[place] ^= change
    assert leaf_hash(bytes(changed)) != leaf_hash(EXAMPLE)
