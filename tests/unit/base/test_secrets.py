import copy
import json
import pickle
import sys
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from newel.base.clock import FakeClock
from newel.base.errors import AuthFailed
from newel.base.secrets import Secret, SecretRef

PLANTED = "hunter2-correct-horse"


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return FakeClock(datetime(2026, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "%s".__mod__])
def test_a_secret_shows_itself_as_stars(shown):
    """However it is turned into text, a secret is three stars."""
    assert shown(Secret(PLANTED)) == "***"


@pytest.mark.parametrize("write", [json.dumps, orjson.dumps, pickle.dumps, copy.copy, hash])
def test_a_secret_cannot_be_written(write):
    """It is neither JSON nor a pickle, cannot be copied, and is no key of a dictionary."""
    with pytest.raises(TypeError):
        write(Secret(PLANTED))


def test_a_secret_equals_only_the_same_secret():
    """Two secrets of the same text are equal; text never is."""
    assert Secret(PLANTED) == Secret(PLANTED)
    assert Secret(PLANTED) != Secret("other")
    assert Secret(PLANTED) != PLANTED
    assert Secret(PLANTED).reveal() == PLANTED


def test_a_variable_of_the_environment(monkeypatch, clock):
    """`env:` reads a variable."""
    monkeypatch.setenv("PLANTED_A", PLANTED)
    assert SecretRef("env:PLANTED_A").resolve(clock=clock) == Secret(PLANTED)


def test_a_file(tmp_path, clock):
    """`file:` reads a file and drops one line end."""
    (tmp_path / "secret").write_text(f"{PLANTED}\r\n", encoding="utf-8")
    assert SecretRef(f"file:{tmp_path}/secret").resolve(clock=clock) == Secret(PLANTED)


@pytest.mark.parametrize("form", ["{} -c \"print('{}')\"", '["{}", "-c", "print(\'{}\')"]'])
def test_a_command(form, clock):
    """`cmd:` takes what a program prints, given as words or as a list."""
    reference = SecretRef("cmd:" + form.format(sys.executable, PLANTED))
    assert reference.resolve(clock=clock) == Secret(PLANTED)


def test_a_command_sees_little_of_the_environment(monkeypatch, clock):
    """A program is started with an environment of its own."""
    monkeypatch.setenv("PLANTED_B", PLANTED)
    program = "import os; print('PLANTED_B' in os.environ)"
    reference = SecretRef("cmd:" + json.dumps([sys.executable, "-c", program]))
    assert reference.resolve(clock=clock) == Secret("False")


def test_a_secret_is_read_again_after_a_minute(monkeypatch, clock):
    """What was read is kept for sixty seconds, so that a rotation needs no restart."""
    reference = SecretRef("env:PLANTED_C")
    monkeypatch.setenv("PLANTED_C", "old")
    assert reference.resolve(clock=clock).reveal() == "old"
    monkeypatch.setenv("PLANTED_C", "new")
    clock.move(timedelta(seconds=59))
    assert reference.resolve(clock=clock).reveal() == "old"
    clock.move(timedelta(seconds=1))
    assert reference.resolve(clock=clock).reveal() == "new"


def test_a_refused_secret_is_read_at_once(monkeypatch, clock):
    """`fresh` reads again without waiting."""
    reference = SecretRef("env:PLANTED_D")
    monkeypatch.setenv("PLANTED_D", "old")
    reference.resolve(clock=clock)
    monkeypatch.setenv("PLANTED_D", "new")
    assert reference.resolve(clock=clock, fresh=True).reveal() == "new"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:PLANTED_NOWHERE", "the variable is not set"),
        ("file:/nowhere/at/all", "the file cannot be read (FileNotFoundError)"),
        ("cmd:/nowhere/at/all", "the command failed (FileNotFoundError)"),
        ("cmd:false", "the command failed (CalledProcessError)"),
        ("cmd:true", "it is empty"),
    ],
)
def test_a_missing_secret_is_a_failed_sign_in(reference, why, clock):
    """What cannot be read is `AuthFailed`, and says which reference and why."""
    with pytest.raises(AuthFailed) as failed:
        SecretRef(reference).resolve(clock=clock)
    assert str(failed.value) == f"The secret {reference} cannot be used: {why}."


@pytest.mark.parametrize("text", [PLANTED, "", "env:", "vault:x"])
def test_a_secret_in_the_wrong_place_is_not_repeated(text):
    """Something that is no reference is refused without quoting it."""
    with pytest.raises(ValueError, match="referred to as env:NAME") as refused:
        SecretRef(text)
    assert PLANTED not in str(refused.value)


def test_a_reference_may_be_shown():
    """Where a secret lies is no secret; the kind of place is what gets recorded."""
    reference = SecretRef("env:GITHUB_TOKEN")
    assert (str(reference), reference.scheme) == ("env:GITHUB_TOKEN", "env")
