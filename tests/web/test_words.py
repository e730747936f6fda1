"""The sentences of the console: every reason, every event, every act has its words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from newel.audit.catalogue import TYPES
from newel.domain.failures import ParkedReason
from newel.people.facts import OpenFact
from newel.web.console import copy
from newel.web.console.story import Entry, references_in, story_of
from newel.web.console.views.acts import act_card, actions_of, coming
from newel.web.console.views.history import event_view, is_told

NOW = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)
RUN = "run_00000000000000000000000007"
JANE = "per_00000000000000000000000001"
DATA: dict[str, dict[str, object]] = {
    "task.opened": {"kind": "approval", "assignees": [JANE], "role": "person"},
    "task.decided": {"decision": "approve"},
    "wait.opened": {"kind": "timer", "due_at": "2026-03-10T08:00:00.000000Z"},
    "wait.closed": {"by": "timer"},
    "step.attempt_failed": {"class": "transient", "code": "503", "http": {"status": 503}},
    "step.round_failed": {"class": "transient", "attempts": 3},
    "step.parked": {"class": "transient", "owner": "it", "rounds": 3, "incident": "inc_x"},
    "step.retried": {"by": "probe"},
    "step.resolved": {"how": "adopted"},
    "step.failed": {"error": "NoDesk", "cause": "answer"},
    "step.succeeded": {"adopted": True},
    "run.failed": {"error": "Rejected"},
}


OPEN = OpenFact(
    key="github.ensure_member",
    kind="step",
    state="parked",
    since=NOW - timedelta(hours=1),
    system="github",
    system_title="GitHub",
    reason="outage",
    owner="it",
    attempt=1,
)


def act(**facts):
    """An open step of GitHub, parked for an outage unless said otherwise."""
    return replace(OPEN, **facts)


def entry(type_, seq=1, key="github.ensure_member", *, minutes=0, actor=None, attempt=1, **data):
    """An event as it is read from the journal."""
    leaf = {
        "type": type_,
        "data": {**DATA.get(type_, {}), **data},
        "actor": actor or {"type": "system", "id": "newel"},
        "system": "github" if type_.startswith("step.") else None,
        "step": {"key": key, "attempt": attempt, "round": 1},
    }
    return Entry(seq=seq, type=type_, key=key, at=NOW + timedelta(minutes=minutes), leaf=leaf)


STEP_REASONS = [
    r for r in get_args(ParkedReason) if r not in {"drifted", "blocked", "nobody", "held"}
]


@pytest.mark.parametrize("reason", STEP_REASONS)
def test_every_reason_says_cause_remedy_and_the_act_that_helps(reason):
    """Two plain sentences, and one of the three verbs first; nothing technical in between."""
    card = act_card(RUN, act(reason=reason), {"message": "x"}, UTC, NOW, copy.step_title)
    assert card.cause.endswith(".")
    assert card.remedy.endswith(".")
    assert "GitHub" in card.cause or reason == "bug"
    assert [each.is_primary for each in card.actions] == [True, False, False]
    assert card.owner == "IT has it"


@pytest.mark.parametrize("reason", ["bug", "blocked", "drifted", "held", "nobody", "unheard-of"])
def test_a_run_parked_as_a_whole_says_why_and_with_whom(reason):
    """Cause, remedy and addressee in one line, for reasons of later versions too."""
    assert copy.run_parked_text(reason, "maintainers").endswith("It is with maintainers.")


@pytest.mark.parametrize(
    ("opened", "why", "following"),
    [
        (act(), "GitHub has not answered since 12:29.", ""),
        (
            act(state="retrying", next_at=NOW + timedelta(minutes=12), failed_rounds=2),
            "GitHub did not answer as it should.",
            "Retry GitHub, today 13:41, in 12 min. 2 rounds failed so far.",
        ),
        (
            act(state="retrying", next_at=NOW - timedelta(minutes=1)),
            "GitHub did not answer as it should.",
            "GitHub is tried again now.",
        ),
        (act(state="attempting"), "The first attempt runs.", ""),
        (act(state="attempting", attempt=3), "Attempt 3 is in flight.", ""),
        (
            act(kind="timer", state="open", key="first-day", due_at=NOW + timedelta(days=1)),
            "Waiting for the date: first day.",
            "First day, tomorrow 13:29.",
        ),
        (
            act(kind="event", state="open", key="parcel", due_at=NOW + timedelta(days=9)),
            "Waiting for “parcel”.",
            "At the latest Wed 18 Mar, 13:29.",
        ),
        (
            act(
                kind="approval", state="open", key="hr-confirms", task=UUID(int=3),
                assignee="HR", task_title="confirm the hire", due_at=NOW + timedelta(hours=2),
            ),
            "“Confirm the hire” waits for HR.",
            "Due today 15:29.",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_open_acts_say_why_and_what_is_next(opened, why, following):
    """Each kind of act in each state has its sentence and, if it goes on by itself, its moment."""
    detail = {"failure_class": "transient"}
    assert copy.why(opened, detail, UTC, NOW) == why
    assert copy.next_line(opened, UTC, NOW) == following


def test_what_comes_next_is_ordered_and_said_once():
    """Probes, attempts, tasks and timers by time; one probe for two steps of one system."""
    probe = NOW + timedelta(minutes=1)
    acts = [
        act(probe_at=probe),
        act(key="github.join_team[core]", probe_at=probe),
        act(
            kind="timer", state="open", key="first-day", system=None, due_at=NOW + timedelta(days=1)
        ),
        act(key="jira.add", system="jira", system_title="Jira", state="retrying", next_at=NOW),
    ]
    assert [each.title for each in coming([(each, {}) for each in acts])] == [
        "Retry Jira",
        "See whether GitHub answers",
        "First day",
    ]


def test_a_first_attempt_has_no_actions():
    """Nothing is offered for what is simply under way, nor for waits."""
    assert actions_of(RUN, act(state="attempting")) == ()
    assert actions_of(RUN, act(kind="timer", state="open")) == ()


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_event_has_a_line(type_):
    """Whatever type the catalogue has, its line is text with an icon, and never `None`."""
    view = event_view(entry(type_), {JANE: "Jane Doe"}, {"github": "GitHub"}, copy.step_title)
    assert view.title
    assert "None" not in view.title + view.detail
    assert isinstance(is_told(entry(type_)), bool)


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ({"type": "system", "id": "newel"}, "newel"),
        ({"type": "person", "id": JANE}, "Jane Doe"),
        ({"type": "service", "id": "svc_api", "on_behalf_of": JANE}, "Jane Doe"),
        ({"type": "person", "id": "per_gone"}, "an erased person"),
        ({"type": "key", "id": "key_abcd1234"}, "API key abcd1234"),
        ({"type": "service", "id": "svc_cli"}, "the command line"),
        ({"type": "service", "id": "svc_console"}, "the console"),
        ({"type": "service", "id": "svc_api"}, "the API"),
    ],
)
def test_actors_are_named(actor, name):
    """A person, a key, a program or newel."""
    assert copy.actor_name(actor, {JANE: "Jane Doe"}) == name


def test_a_step_in_doubt_shows_the_lost_attempt():
    """An attempt of which nothing was heard ends where the doubt begins."""
    told = [entry("step.started"), entry("step.in_doubt", 2, minutes=1)]
    key = story_of(told).keys[0]
    assert (key.state, [each.is_lost for each in key.attempts]) == ("in-doubt", [True])


def test_an_attempt_after_another_ends_the_one_before():
    """Two starts in a row mean that the first attempt's worker was lost."""
    told = [entry("step.started"), entry("step.started", 2, minutes=1, attempt=2)]
    assert [each.is_lost for each in story_of(told).keys[0].attempts] == [True, False]


def test_a_key_without_outcome_ends_with_its_run():
    """What a cancelled run left open reads as cancelled."""
    assert story_of([entry("step.started")], is_over=True).keys[0].state == "cancelled"
    closed = [entry("wait.opened", key="t"), entry("wait.closed", 2, key="t", by="cancel")]
    assert story_of(closed).keys[0].state == "cancelled"


def test_a_decision_says_more_than_the_wait_it_closes():
    """Of an approval the decision stays, not the closing of its wait."""
    told = [
        entry("wait.opened", key="hr-confirms", kind="task"),
        entry("task.decided", 2, key="hr-confirms"),
        entry("wait.closed", 3, key="hr-confirms", by="decision"),
    ]
    key = story_of(told).keys[0]
    assert key.ended is not None
    assert (key.kind, key.ended.type) == ("approval", "task.decided")


def test_a_loop_is_one_line():
    """`poll`, `poll#2`, `poll#3` stand as one entry that was reached three times."""
    told = [
        entry("step.succeeded", 1, key="poll"),
        entry("step.succeeded", 2, key="other"),
        entry("step.succeeded", 3, key="poll#2"),
        entry("step.started", 4, key="poll#3"),
    ]
    keys = story_of(told).keys
    assert [(key.key, key.times, key.state) for key in keys] == [
        ("poll#3", 3, "running"),
        ("other", 1, "done"),
    ]


def test_people_in_events_are_collected_by_reference():
    """Actors, those they act for, and those who are asked."""
    behalf = {"type": "service", "id": "svc_api", "on_behalf_of": "per_b"}
    told = [entry("task.opened", actor=behalf), entry("run.started", 2, requested_by="per_c")]
    assert references_in(told) == {JANE, "per_b", "per_c"}
