"""Failure classes: what an exception is, and which cause it shares with others."""

from __future__ import annotations

import pytest

from newel.base.errors import (
    AlreadyDone,
    AuthFailed,
    Bug,
    ContractDrift,
    Forbidden,
    Invalid,
    NestedAct,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.domain.failures import PARKING, USES_ROUNDS, incident_fingerprint, judged


def _of(module: str, name: str) -> Exception:
    """An exception as a library outside would raise it."""
    error: Exception = type(name, (Exception,), {"__module__": module})("told")
    return error


@pytest.mark.parametrize(
    ("error", "judgement"),
    [
        (ConnectionRefusedError(), Transient),
        (_of("httpx2", "ConnectError"), Transient),
        (_of("httpx2._exceptions", "ConnectTimeout"), Transient),
        (_of("httpx2", "PoolTimeout"), Transient),
        (_of("httpx2", "ReadTimeout"), OutcomeUnknown),
        (_of("httpx", "RemoteProtocolError"), OutcomeUnknown),
        (_of("asyncpg.exceptions", "ConnectionDoesNotExistError"), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
        (ConnectionResetError(), OutcomeUnknown),
        (BrokenPipeError(), OutcomeUnknown),
        (KeyError("typo"), Bug),
        (ZeroDivisionError(), Bug),
        (ValueError("x"), Bug),
        (ExceptionGroup("many", [Transient()]), Bug),
        (NestedAct(act="a", step="b"), Bug),
        (PermissionError("file"), Bug),
    ],
)
def test_an_exception_of_a_steps_code_is_judged(error, judgement):
    """A refused connection is transient, a lost answer unknown, everything else a bug."""
    assert type(judged(error)) is judgement


@pytest.mark.parametrize(
    "error",
    [
        Transient(),
        Throttled(),
        NotReady(),
        OutcomeUnknown(),
        OwnershipConflict(),
        Invalid(),
        Forbidden(),
        AuthFailed(),
        NoCapacity(),
        ContractDrift(),
        Bug(),
    ],
)
def test_an_exception_of_the_tree_is_its_own_class(error):
    """What the author or a connector has judged is not judged again, and it can park a step."""
    assert judged(error) is error
    assert error.failure_class in PARKING


def test_a_judgement_says_nothing_personal():
    """The message of an unknown exception stays out: it may hold anything."""
    assert "jane" not in judged(ValueError("jane@example.com")).message


def test_every_class_but_already_done_can_park():
    """Each failure class has its reason to park; already-done is a success."""
    classes = {each.failure_class for each in StepError.__subclasses__()}
    assert classes - set(PARKING) == {AlreadyDone.failure_class}
    assert sorted(USES_ROUNDS) == ["not-ready", "transient"]


@pytest.mark.parametrize(
    ("error", "fingerprint"),
    [
        (Transient(), "github:cafe/outage"),
        (NotReady(), "github:cafe/outage"),
        (Throttled(), "github:cafe/throttle"),
        (AuthFailed(), "github:cafe/auth"),
        (Forbidden(missing="members:write"), "github:cafe/permission:members:write"),
        (Forbidden(operation="grant"), "github:cafe/permission:grant"),
        (NoCapacity(what="seats"), "github:cafe/capacity:seats"),
        (ContractDrift(operation="grant"), "github:cafe/drift:grant"),
        (Bug(), "bug:hire:3:grant:Bug"),
        (Invalid(), None),
        (OwnershipConflict(), None),
        (OutcomeUnknown(), None),
    ],
)
def test_steps_that_fail_for_one_cause_share_its_fingerprint(error, fingerprint):
    """Credential and kind name a cause; one person's data is nobody else's cause."""
    found = incident_fingerprint(error, credential="github:cafe", where="hire:3:grant")
    assert found == fingerprint


def test_without_a_credential_the_place_in_the_code_names_the_cause():
    """A step of no system shares its cause with the same step of the same version."""
    found = incident_fingerprint(Transient(), credential=None, where="hire:3:grant")
    assert found == "outage:hire:3:grant:Transient"
