"""The verbs at a terminal: one onboarding from its start to its end, and what is refused."""

from __future__ import annotations

import io
import json
import sys

import pytest

from newel.base.ids import parse_reference

HIRE = {
    "name": "Jane Doe",
    "email": "jane.doe@acme.example",
    "manager": {"name": "Alice Example", "email": "alice.example@acme.example"},
    "job": "office",
    "team": "operations",
    "starts_at": "2020-01-06T09:00:00+01:00",
}
ALICE = "alice.example@acme.example"


def start(newel, *more, **changed):
    """Start an onboarding; answers with what was said."""
    document = json.dumps(HIRE | changed)
    return newel("start", "onboarding", "--input", document, "--json", *more)


def open_keys(newel, run):
    """Give state and reason of what is open in a run, by key."""
    shown = newel("status", run, "--json").document
    return {act["key"]: (act["state"], act["reason"]) for act in shown["open"]}


def test_a_start_makes_a_run_that_is_listed(deployed, newel):
    """A run that was started is the one that `newel runs` shows."""
    made = start(newel).document
    assert made["is_new"]
    assert parse_reference(made["person"])[0] == "per"
    listed = newel("runs", "--json").document["runs"]
    assert [(each["run"], each["name"], each["state"]) for each in listed] == [
        (made["run"], "Jane Doe", "running")
    ]
    assert made["run"] in newel("runs").out


@pytest.mark.parametrize("way", ["json", "file", "standard input"])
def test_an_input_comes_as_json_file_or_standard_input(deployed, newel, monkeypatch, way):
    """The input is read where it lies, and it is the same input."""
    text = json.dumps(HIRE)
    (deployed / "hire.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    given = {"json": text, "file": "hire.json", "standard input": "-"}[way]
    assert newel("start", "onboarding", "--input", given).status == 0
    assert newel("runs", "--json").document["runs"][0]["name"] == "Jane Doe"


def test_one_key_is_one_run(deployed, newel):
    """The same start sent twice with one key gives the same run, and says so."""
    first = start(newel, "--key", "hr-4711").document
    again = start(newel, "--key", "hr-4711").document
    assert again == first | {"is_new": False}
    assert len(newel("runs", "--json").document["runs"]) == 1


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"manager": None}, "manager"),
        ({"nickname": "Jay"}, "nickname: is not known"),
        ({"job": "pilot"}, "job"),
        ({"ends_at": "2019-01-01T09:00:00Z"}, "ends_at: is not after starts_at"),
        ({"starts_at": "next week"}, "starts_at"),
    ],
)
def test_a_wrong_input_is_refused_by_field_and_makes_nothing(deployed, newel, changed, named):
    """A wrong field is named in one line; no run is made."""
    said = start(newel, **changed)
    assert said.status == 1
    assert named in said.err
    assert said.err.count("\n") == 1
    assert newel("runs", "--json").document["runs"] == []


@pytest.mark.parametrize("name", ["Sinéad O'Brien", "Jane 🦊 Doe", "نور الهدى"])
def test_any_name_just_works(deployed, newel, name):
    """An apostrophe, an emoji, another script: the person is found by that name."""
    assert start(newel, name=name).status == 0
    found = newel("status", name, "--json")
    assert found.status == 0
    assert [each["name"] for each in found.document["people"]] == [name]


def test_a_task_is_decided_once_and_by_somebody_else(deployed, newel, work):
    """Neither the subject decides, nor anybody twice; a no needs a reason."""
    start(newel)
    work()
    task = newel("tasks", "--json").document["tasks"][0]
    assert (task["name"], task["assignee"]) == ("Jane Doe", "Alice Example")
    assert "Alice Example" in newel("tasks").out
    refused = newel("decide", task["task"], "--no", "--actor", ALICE)
    assert (refused.status, "reason" in refused.err) == (1, True)
    herself = newel("decide", task["task"], "--yes", "--actor", HIRE["email"])
    assert (herself.status, "Somebody else" in herself.err) == (1, True)
    decided = newel("decide", task["task"], "--yes", "--actor", ALICE, "--json")
    assert decided.document == {"task": task["task"], "decision": "approve"}
    again = newel("decide", task["task"], "--yes", "--actor", ALICE)
    assert (again.status, "Alice Example" in again.err) == (1, True)
    assert newel("tasks", "--json").document == {"tasks": []}


def test_an_operator_brings_a_stuck_run_to_its_end(deployed, newel, work):
    """Retry, complete by hand and skip lead a run on whose systems refuse the credential."""
    run = start(newel).document["run"]
    work()
    task = newel("tasks", "--json").document["tasks"][0]["task"]
    newel("decide", task, "--yes", "--actor", ALICE, "--comment", "Welcome")
    work()
    assert open_keys(newel, run) == {"google.ensure_account": ("parked", "auth-failed")}
    assert newel("retry", run, "google.ensure_account", "--actor", ALICE).status == 0
    work()
    assert open_keys(newel, run) == {"google.ensure_account": ("parked", "auth-failed")}
    skipped = newel(
        "skip", run, "google.ensure_account", "--actor", ALICE, "--reason", "not needed"
    )
    assert (skipped.status, "newel:" in skipped.err) == (1, True)
    by_hand(newel, run, "google.ensure_account", "google")
    work()
    assert set(open_keys(newel, run)) == {
        "slack.ensure_account",
        "jira.ensure_account",
        "gusto.ensure_employee",
    }
    for key in ("slack.ensure_account", "jira.ensure_account"):
        assert newel("skip", run, key, "--actor", ALICE, "--reason", "later").status == 0
    by_hand(newel, run, "gusto.ensure_employee", "gusto")
    work()
    by_hand(newel, run, "google.activate", "google")
    work()
    assert newel("skip", run, "slack.say", "--actor", ALICE, "--reason", "said").status == 0
    work()
    ended = newel("status", run, "--json").document
    assert (ended["state"], ended["open"]) == ("completed", [])
    assert "completed" in newel("status", "Jane Doe").out
    lines = newel("access", "--system", "google", "--zone", "Europe/Berlin").out.splitlines()
    assert lines[0].endswith("(Europe/Berlin)")
    assert len(lines) == 3
    assert lines[2].startswith("google:account ")
    for told in ("Jane Doe", "approved by Alice Example", run):
        assert told in lines[2]
    day = newel("access", "Jane Doe", "--on", "2020-02-29", "--json").document
    assert (day["day"], day["access"]) == ("2020-02-29", [])


def by_hand(newel, run, key, system):
    """Complete a step by hand with an account."""
    value = {"system": system, "id": "1", "handle": "jane", "email": HIRE["email"]}
    value |= {"state": "active", "url": ""}
    said = newel(
        *("complete-by-hand", run, key, "--value", json.dumps(value)),
        *("--evidence", "done in the admin console", "--actor", ALICE, "--reason", "no access"),
    )
    assert said.status == 0, said.err


def test_a_run_is_cancelled(deployed, newel, work):
    """A run that was cancelled ends so, and cannot be changed any more."""
    run = start(newel).document["run"]
    work()
    assert newel("cancel", run, "--actor", ALICE, "--reason", "declined the offer").status == 0
    work()
    assert newel("runs", "--state", "cancelled", "--json").document["runs"][0]["run"] == run
    again = newel("cancel", run, "--actor", ALICE, "--reason", "twice")
    assert (again.status, "cancelled" in again.err) == (1, True)


def test_status_answers_without_the_code_and_without_a_key(deployed, newel, monkeypatch):
    """What needs neither is said: asking makes no key, and a broken project is no hurdle."""
    start(newel)
    said = "Jane Doe's onboarding has begun. Everything is on track."
    kek = next(deployed.rglob("keys/kek"))
    kek.rename(kek.with_name("away"))
    assert (newel("status", "Jane Doe").out.strip(), kek.exists()) == (said, False)
    kek.with_name("away").rename(kek)
    monkeypatch.setenv("NEWEL_PROCESSES", '["company.nowhere"]')
    assert newel("status", "Jane Doe").out.strip() == said


def test_status_tells_one_from_several_from_nobody(deployed, newel):
    """One person is a sentence; several are listed with status 3, nobody with 4."""
    start(newel)
    start(newel, name="Jane Roe", email="jane.roe@acme.example")
    one = newel("status", "jane do")
    assert one.status == 0
    assert one.out.startswith("Jane Doe's onboarding: 0 of 4 systems are ready")
    several = newel("status", "jane")
    assert several.status == 3
    assert "jane.doe@acme.example" in several.out
    assert "jane.roe@acme.example" in several.out
    assert newel("status", "Zaphod").status == 4
    assert newel("status", "Zaphod", "--json").document["people"] == []


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        (["bogus"], 2, "bogus"),
        (["runs", "--limit", "many"], 2, "limit"),
        (["start", "nothing", "--input", "{}"], 1, "no process 'nothing'"),
        (["start", "onboarding", "--input", "{"], 1, "is not JSON (line 1"),
        (["start", "onboarding", "--input", "absent.json"], 1, "absent.json: cannot be read"),
        (["status", "run_nonsense"], 1, "no run 'run_nonsense'"),
        (["decide", "tsk_nonsense", "--yes", "--actor", ALICE], 1, "no task 'tsk_nonsense'"),
        (["decide", "tsk_nonsense", "--actor", ALICE], 2, "--yes"),
        (["retry", "run_1", "--actor", ALICE], 1, "no run 'run_1'"),
        (["cancel", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "--actor", ALICE], 2, "--reason"),
        (["access", "--on", "someday"], 1, "on: is no day"),
        (["revocations", "--from", "2026-02-01", "--to", "2026-01-01"], 1, "to"),
        (["access", "--on", "9999-12-31"], 1, "on: has not begun"),
        (["access", "--zone", "Nowhere/Else"], 1, "zone: is no time zone"),
        (["key", "revoke", "absent"], 1, "no key 'absent'"),
        (["key", "new", "x", "--days", "0"], 1, "days"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_traceback(deployed, newel, line, status, says):
    """What was typed wrongly is said in one line on standard error."""
    said = newel(*line)
    assert (said.status, said.out) == (status, "")
    assert says in said.err
    assert said.err.startswith("newel: ")
    assert said.err.count("\n") == 1


def test_an_unknown_run_is_not_found(deployed, newel):
    """A well-formed reference of nothing is refused like a mistyped one."""
    said = newel("status", "run_01m82rnddmfavryxe5qh8pwskk")
    assert (said.status, said.err) == (
        1,
        "newel: There is no run 'run_01m82rnddmfavryxe5qh8pwskk'.\n",
    )
