import dataclasses
import inspect
import types
import typing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newel.audit import catalogue
from newel.audit.catalogue import (
    TYPES,
    ApprovalAuthority,
    AuditEvent,
    MovedWait,
    Part,
    PolicyAuthority,
    RecordedAuthority,
    RunParked,
    RunRescheduled,
    RunStarted,
    RunVersionChanged,
    Source,
    StepSucceeded,
)
from newel.audit.catalogue.declared import audit_event
from newel.audit.leaf import Actor, ProcessVersion, build, parse
from newel.base.errors import NotJournalable

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DIGEST = "ab" * 32

# The catalogue as the audit document, §4, lists it: marks, then members, optional ones with `?`.
# Streams other than a run's are named. Where a member is optional here and not there, the class
# says why.
SPECIFIED = """
schedule.registered admin | schedule process cron zone missed
schedule.retired admin | schedule
schedule.paused admin | schedule
schedule.resumed admin | schedule
step.queued S |
run.started P | source requested_by input_digest confidential kind? idempotency_key? parent? effective_at? time_zone? attributes? second?
run.amended | fields before_digest after_digest second?
run.rescheduled | waits effective_at
run.parked | keys class incident?
run.unparked | by
run.drifted | key fp_before fp_after definition_before definition_after
run.version_changed P | from to check
run.taken_over | from_worker to_worker epoch
run.paused |
run.resumed |
run.cancel_requested | compensate second?
run.cancelled | undone kept
run.completed P | outcome_digest active_us elapsed_us
run.failed P | error key? message?
run.acknowledged |
run.payload_expired | digests policy
run.disclosed | cause
step.started S | idempotency_key input_fp direction route?
step.looked S | claimed next_at
step.attempt_failed S | class code http? next_at?
step.round_failed S | class attempts next_round_at?
step.succeeded S | outcome_digest duration_us changed? adopted? late? would? calls_digest?
step.failed S | error cause outcome_digest duration_us late?
step.cancelled S | by
step.in_doubt S | cause policy
step.resolved S | how http?
step.parked S | class rounds owner incident? task?
step.retried S | by
step.kept S | by input_fp?
step.skipped S | second? grants? evidence_digest? outcome_digest? input_fp?
step.completed_by_hand S | second? grants? evidence_digest? outcome_digest? input_fp?
act.recorded S | kind verb keys? run? outcome_digest?
wait.opened S | kind due_at? matches? input_fp?
wait.closed S | by outcome_digest? late_us?
task.opened S | task kind assignees deputies excluded role? due_at? shown? form_sha256? proposal_digest?
task.claimed | task to from? until?
task.reassigned | task to from? until?
task.delegated | task to from? until?
task.reminded | task n channel
task.escalated | task level to
task.decided P S | task decision answer_digest channel auth excluded shown_digest? four_eyes? evidence_digest? comment?
task.withdrawn | task cause
setting.changed admin | name before? after?
data.exported admin | kind rows filter_digest sha256?
data.journals_read admin | definitions runs runs_now blocked
data.revealed admin | fields purpose
data.sample_drawn admin | seed n since until
person.hold_set admin | run?
person.hold_released admin | hold run? second?
subject.erased admin | keys rows order second
subject.erasure_ordered admin | expires_at
event.received | source message_id body_digest signature wait?
event.refused system | source cause n window_s
access.requested P | grant state entitlement action requested_by request_source risk level? expires_at?
access.approved | grant state authority
access.refused | grant state event
access.granted P S | grant state entitlement account_ref authority effective_at route changed account? level? expires_at? adopted? continues? http?
access.modified P S | grant state entitlement account_ref authority effective_at route changed from account? level? expires_at? adopted? continues? http?
access.pending P S | grant state entitlement account_ref expires_at? http?
access.revoked P S | grant state how cause due_at late_us entitlement? since_unknown? http?
access.verified S | grant state result http
access.adopted P | grant state entitlement account_ref authority account? since_unknown?
access.excepted | grant state expires_at approver
incident.opened system | incident class first_run
incident.attached system | incident run key
incident.closed system | incident runs healed_by
incident.ticketed system | incident tracker ticket channel marker
incident.ticket_failed system | incident tracker class
connector.configured system | fields secret_schemes
connector.paused system |
connector.resumed system |
process.registered admin P | source_sha256 author drawing_sha256? previous? commit?
person.registered admin | kind name
person.amended admin | fields before_digest after_digest
person.key_created admin | n
admin.confirmed admin | of verb
admin.hold_released admin | rule n limit
admin.hold_triggered admin | rule n limit
admin.key_created admin | key scopes expires_at?
admin.key_revoked admin | key
admin.ordered admin | verb about expires_at
admin.webhook_configured admin | endpoint url_host events
admin.webhook_disabled admin | endpoint cause
admin.webhook_enabled admin | endpoint
admin.webhook_redelivered admin | endpoint n
admin.webhook_retired admin | endpoint url_host
service.started service | version role git_sha?
service.stopped service |
service.migrated service | from to sha256
service.restore_checked service | compared missing lost outside other
service.worker_lost service | worker runs
log.anchor_failing log | target misses
log.anchor_recovered log | target
log.archived log | origin from to sha256
log.epoch_opened log | origin cause? previous_origin? previous_size? previous_root? previous_note_sha256? kept_size? lost_leaves? second?
log.head_adopted log | origin size root cause second?
log.key_rotated log | old_vkey new_vkey cause second?
log.pruned log | min_index origin? days? forced? second?
log.retention_changed log | before? after?
"""  # noqa: E501  # one type a line


def _written(cls) -> str:
    """Write a class as a line of the table above."""
    marks = ([] if cls.stream == "run" else [cls.stream]) + ["P"] * cls.has_process
    marks += ["S"] * cls.has_step
    members = [
        field.name.removesuffix("_") + ("?" if field.default is None else "")
        for field in dataclasses.fields(cls)
    ]
    return f"{' '.join([cls.type, *marks])} | {' '.join(members)}".rstrip()


def test_the_catalogue_is_the_one_specified():
    """Every type has the stream, the marks and the members of the audit document."""
    assert sorted(map(_written, TYPES.values())) == sorted(SPECIFIED.strip().splitlines())


def test_types_that_fix_the_state_of_their_run():
    """A start, a park, a release and the three ends say the run's state by themselves."""
    assert {name: cls.run_state for name, cls in TYPES.items() if cls.run_state is not None} == {
        "run.started": "running",
        "run.parked": "parked",
        "run.unparked": "running",
        "run.completed": "completed",
        "run.failed": "failed",
        "run.cancelled": "cancelled",
    }


def test_everything_is_exported_and_named_after_its_type():
    """A class is its type in camel case, exported, and has a sentence."""
    for name, cls in TYPES.items():
        assert cls.__name__ == "".join(part.title() for part in name.replace("_", ".").split("."))
        assert getattr(catalogue, cls.__name__) is cls
        assert cls.__name__ in catalogue.__all__
        assert (inspect.getdoc(cls) or "").splitlines()[0].endswith(".")


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Give values for an annotation, read independently of how the classes read it."""
    if typing.get_origin(hint) is Annotated:
        return {
            "sha256": st.text("0123456789abcdef", min_size=64, max_size=64),
            "sealed": st.just({"enc": "A256GCM", "kid": "per_x/1", "iv": "AA", "ct": "AA"}),
        }[typing.get_args(hint)[1]]
    if typing.get_origin(hint) is Literal:
        return st.sampled_from(typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return st.lists(_strategy(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        return st.one_of(*map(_strategy, typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, Part):
        return _events(hint)
    simple: dict[object, st.SearchStrategy[Any]] = {
        str: st.text(st.characters(codec="utf-8", min_codepoint=1), max_size=12),
        int: st.integers(-(2**53) + 1, 2**53 - 1),
        bool: st.booleans(),
        datetime: st.datetimes(timezones=st.just(UTC)),
        type(None): st.none(),
    }
    return simple[hint]


def _events(cls: type[Part]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # made one
    return st.builds(cls, **{name: _strategy(hints[name]) for name in names})


def _leaf(event: AuditEvent) -> bytes:
    return build(
        event,
        id="01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11",
        stream="admin",
        seq=1,
        prev=b"",
        occurred_at="2026-01-05T07:00:04.118203Z",
        actor=Actor(type="system", id="newel"),
        subject=None,
        system=None,
        process=ProcessVersion(name="onboarding", version=12, definition_sha256=DIGEST),
        step={"key": "pay"},
    ).entry


def _json(value: object) -> object:
    """Write a value as a leaf shows it."""
    if isinstance(value, Part):
        return {
            field.name.removesuffix("_"): _json(getattr(value, field.name))
            for field in dataclasses.fields(value)  # type: ignore[arg-type]  # made a dataclass
            if getattr(value, field.name) is not None
        }
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value


@pytest.mark.parametrize("cls", TYPES.values(), ids=TYPES)
@settings(max_examples=10)
@given(data=st.data())
def test_every_type_makes_a_leaf_that_says_what_it_holds(cls, data):
    """Any event of any type stands in a valid leaf, with its members and without absent ones."""
    event = data.draw(_events(cls))
    read = parse(_leaf(event))
    assert (read.type, read.data) == (cls.type, _json(event))


WRONG: list[Any] = [3.5, b"x", [], {}, {"enc": 1}, object(), datetime(2026, 1, 5)]  # noqa: DTZ001


@pytest.mark.parametrize("cls", TYPES.values(), ids=TYPES)
@settings(max_examples=3)
@given(data=st.data())
def test_every_member_is_checked(cls, data):
    """A member of another type is refused by name, in every type, and so is its absence."""
    event = data.draw(_events(cls))
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        for wrong in WRONG:
            with pytest.raises(NotJournalable, match=f"`{cls.type}` .*`{field.name}`"):
                cls(**{**values, field.name: wrong})
        if field.default is dataclasses.MISSING:
            with pytest.raises(TypeError, match=field.name):
                cls(**{name: value for name, value in values.items() if name != field.name})
            with pytest.raises(NotJournalable, match=f"`{field.name}`"):
                cls(**{**values, field.name: None})


@pytest.mark.parametrize(
    ("make", "member"),
    [
        (lambda: StepSucceeded(outcome_digest="ab", duration_us=1), "outcome_digest"),
        (lambda: StepSucceeded(outcome_digest=DIGEST, duration_us=True), "duration_us"),
        (lambda: RunParked(keys=("a", 1), class_="bug"), "keys"),  # type: ignore[arg-type]
        (lambda: RunParked(keys=("a",), class_="tired"), "class_"),  # type: ignore[arg-type]
        (lambda: PolicyAuthority(policy_id="p", policy_sha256="x"), "policy_sha256"),
        (lambda: Source(type="letter"), "type"),  # type: ignore[arg-type]
    ],
)
def test_a_slip_is_named(make, member):
    """Short digests, flags for numbers, wrong items and unknown choices are refused."""
    with pytest.raises(NotJournalable, match=f"is missing a fit value for `{member}`"):
        make()


def test_an_event_is_a_value():
    """Events are frozen, compare by their members and show them."""
    one, same = (StepSucceeded(outcome_digest=DIGEST, duration_us=1) for _ in range(2))
    assert one == same
    assert one != StepSucceeded(outcome_digest=DIGEST, duration_us=2)
    assert repr(one).startswith("StepSucceeded(outcome_digest='abab")
    assert dataclasses.replace(one, duration_us=3).duration_us == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.duration_us = 2  # type: ignore[misc]


def test_python_words_are_written_plainly():
    """A trailing underscore is no part of the member's name."""
    changed = RunVersionChanged(from_=1, to=2, check="unchanged")
    moved = MovedWait(key="first-day", from_=NOON, to=NOON)
    assert changed.data() == {"from": 1, "to": 2, "check": "unchanged"}
    assert RunRescheduled(waits=(moved,), effective_at=NOON).data() == {
        "waits": [
            {
                "key": "first-day",
                "from": "2026-01-05T12:00:00.000000Z",
                "to": "2026-01-05T12:00:00.000000Z",
            }
        ],
        "effective_at": "2026-01-05T12:00:00.000000Z",
    }


def test_an_authority_says_its_kind():
    """What allowed a grant names its kind, also where there is only one."""
    kinds = [
        ApprovalAuthority(event="e", leaf_hash=DIGEST, approver="per_x").data()["kind"],
        PolicyAuthority(policy_id="p", policy_sha256=DIGEST).data()["kind"],
        RecordedAuthority(kind="adopted", event="e", leaf_hash=DIGEST).data()["kind"],
    ]
    assert kinds == ["approval", "policy", "adopted"]


def test_parts_are_written_where_they_stand():
    """A record inside an event becomes an object inside its leaf."""
    started = RunStarted(
        source=Source(type="api"), requested_by="svc_api", input_digest=DIGEST, confidential=False
    )
    assert started.data() == {
        "source": {"type": "api"},
        "requested_by": "svc_api",
        "input_digest": DIGEST,
        "confidential": False,
    }


def test_a_type_is_declared_once():
    """A second class for a type is refused, because a type never has two meanings."""
    with pytest.raises(ValueError, match=r"Two types of audit event are named run\.paused"):

        @audit_event("run.paused")
        class Again(AuditEvent):
            """The same name again."""
