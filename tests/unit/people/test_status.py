"""The status sentence, case by case; now is Monday 9 March 2026, 14:29 in Berlin."""

# ruff: noqa: E501 - a sentence is easier to judge in lines as long as it needs

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.people.facts import Ahead, GrantFact, OpenFact, RunFact, Snapshot, kind_of
from newel.people.status import LIMIT, leading, status

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)
JANE = UUID(int=1)
RUN = UUID(int=7)
OTHER = UUID(int=8)
TITLES = {
    "google": "Google Workspace",
    "slack": "Slack",
    "jira": "Jira",
    "github": "GitHub",
    "gusto": "Gusto",
    "salesforce": "Salesforce",
}


def at(text):
    """A moment of Berlin as `2026-03-09 14:02`."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def granted(*systems, state="active", run=RUN, ended=None):
    """The account of each system, as a grant of one run."""
    return tuple(
        GrantFact(
            system=system,
            system_title=TITLES[system],
            entitlement=f"{system}:account",
            state=state,
            made_run=run,
            ended_run=ended,
        )
        for system in systems
    )


def step(system, state, key=None, since="2026-03-09 14:02", **facts):
    """A step of a system, in a state."""
    return OpenFact(
        key=key or f"{system}.create_user",
        kind="step",
        state=state,
        system=system,
        system_title=TITLES.get(system),
        since=at(since),
        attempt=facts.pop("attempt", 1),
        **facts,
    )


EARLIER, LATER = "2026-03-09 13:58", "2026-03-09 14:03"


def parked(system, reason="outage", **facts):
    """A step that is parked, with IT unless another has it."""
    return step(system, "parked", reason=reason, owner=facts.pop("owner", "it"), **facts)


def task(title, who, due=None, since="2026-03-09 09:00", key="manager-confirms"):
    """An open approval."""
    return OpenFact(
        key=key,
        kind="approval",
        state="open",
        since=at(since),
        due_at=None if due is None else at(due),
        task=UUID(int=3),
        task_title=title,
        assignee=who,
    )


def timer(key, due):
    """An open timer."""
    return OpenFact(
        key=key, kind="timer", state="open", since=at("2026-03-03 09:00"), due_at=at(due)
    )


def event(key, since="2026-03-09 10:00", due=None):
    """A message that is awaited."""
    return OpenFact(
        key=key,
        kind="event",
        state="open",
        since=at(since),
        due_at=None if due is None else at(due),
    )


def run(*acts, process="onboarding", state="running", **facts):
    """A run about Jane, with what is open of it."""
    return RunFact(
        id=facts.pop("id", RUN),
        process=process,
        kind=facts.pop("kind", kind_of(process)),
        state=state,
        started_at=at("2026-03-03 09:02"),
        owner=facts.pop("owner", "hr"),
        acts=acts,
        **facts,
    )


def ended(state, when="2026-03-06 10:12", **facts):
    """A run about Jane that is over."""
    return run(state=state, finished_at=at(when), **facts)


def jane(*runs, grants=(), name="Jane Doe"):
    """All that is known of Jane."""
    return Snapshot(person=JANE, name=name, runs=runs, grants=tuple(grants))


def ahead(done, total, *systems, perhaps=0):
    """What a plan counts; systems: where access is still to be given."""
    coming = {system: TITLES[system] for system in systems}
    return Ahead(done=done, total=total, perhaps=perhaps, systems=coming)


FIRST_DAY = timer("first-day", "2026-03-10 09:00")
FOUR = granted("google", "slack", "jira", "gusto")

CASES = {
    "nobody's run, nothing granted": (
        jane(),
        "No run concerns Jane Doe. No system is granted.",
    ),
    "nobody's run, one system": (
        jane(grants=granted("google")),
        "No run concerns Jane Doe. 1 system is granted.",
    ),
    "nobody's run, six systems": (
        jane(grants=granted(*TITLES)),
        "No run concerns Jane Doe. 6 systems are granted.",
    ),
    "nothing made yet": (
        jane(run(step(None, "attempting", key="person"))),
        "Jane Doe's onboarding has begun. Everything is on track.",
    ),
    "the first work lies ahead": (
        jane(run(timer("prepare", "2026-03-12 08:00"))),
        "Jane Doe's onboarding begins Thu 08:00. Everything is on track.",
    ),
    "only the first day lies ahead": (
        jane(run(FIRST_DAY)),
        (
            "Jane Doe's onboarding has begun; the first day is tomorrow at 09:00 (Berlin). "
            "Everything is on track."
        ),
    ),
    "the manager is asked": (
        jane(run(task("confirm the hire", "Max Ortiz", due="2026-03-11 09:00"))),
        (
            "Jane Doe's onboarding has begun. “Confirm the hire” waits for Max Ortiz, due Wed 09:00. "
            "Everything else is on track."
        ),
    ),
    "a team is asked without a deadline": (
        jane(run(task("confirm the hire", "hr"))),
        (
            "Jane Doe's onboarding has begun. “Confirm the hire” waits for hr. "
            "Everything else is on track."
        ),
    ),
    "the task is due today": (
        jane(run(task("check the ID", "Max Ortiz", due="2026-03-09 17:00"), done=2)),
        (
            "Jane Doe's onboarding: 2 steps are done. “Check the ID” waits for Max Ortiz, due today "
            "17:00. Everything else is on track."
        ),
    ),
    "the task is overdue since today": (
        jane(run(task("check the ID", "Max Ortiz", due="2026-03-09 12:00"), done=1)),
        (
            "Jane Doe's onboarding: 1 step is done. “Check the ID” waits for Max Ortiz and was due "
            "12:00. Everything else is on track."
        ),
    ),
    "the task is overdue for days": (
        jane(run(task("check the ID", "Max Ortiz", due="2026-03-05 12:00"), done=1)),
        (
            "Jane Doe's onboarding: 1 step is done. “Check the ID” waits for Max Ortiz and was due "
            "Thu. Everything else is on track."
        ),
    ),
    "four of five, GitHub parked with a ticket": (
        jane(run(parked("github", ticket="OPS-12"), FIRST_DAY), grants=FOUR),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). GitHub is parked since 14:02, ticket OPS-12. Everything else is on track."
        ),
    ),
    "parked without a ticket names who has it": (
        jane(run(parked("github")), grants=FOUR),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is parked since 14:02, with IT. "
            "Everything else is on track."
        ),
    ),
    "parked for lack of seats": (
        jane(run(parked("github", "no-capacity", ticket="OPS-12")), grants=FOUR),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is parked: no free seats, ticket "
            "OPS-12. Everything else is on track."
        ),
    ),
    "parked since the incident began": (
        jane(
            run(parked("github", ticket="OPS-12", incident_since=at("2026-03-07 08:00"))),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is parked since Sat, ticket "
            "OPS-12. Everything else is on track."
        ),
    ),
    "parked since it was put down, not since its first call": (
        jane(
            run(
                parked(
                    "github",
                    ticket="OPS-12",
                    incident_since=at("2026-03-09 13:02"),
                    parked_at=at("2026-03-09 14:01"),
                )
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is parked since 14:01, ticket "
            "OPS-12. Everything else is on track."
        ),
    ),
    "two steps of one incident are parked since the first was": (
        jane(
            run(
                parked("github", ticket="OPS-12", incident=UUID(int=7), parked_at=at(EARLIER)),
                parked("jira", ticket="OPS-12", incident=UUID(int=7), parked_at=at(LATER)),
            ),
            grants=granted("google"),
        ),
        (
            "Jane Doe's onboarding: 1 of 3 systems are ready. GitHub and Jira are parked since 13:58, "
            "ticket OPS-12. Everything else is on track."
        ),
    ),
    "two systems parked for one cause are said once": (
        jane(
            run(parked("github", ticket="OPS-12"), parked("jira", ticket="OPS-12")),
            grants=granted("google"),
        ),
        (
            "Jane Doe's onboarding: 1 of 3 systems are ready. GitHub and Jira are parked since 14:02, "
            "ticket OPS-12. Everything else is on track."
        ),
    ),
    "two steps of one system parked are said once": (
        jane(
            run(
                parked("github", key="github.grant[api]", ticket="OPS-12"),
                parked("github", key="github.grant[web]", ticket="OPS-12"),
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is parked since 14:02, ticket "
            "OPS-12. Everything else is on track."
        ),
    ),
    "two systems parked for two causes": (
        jane(
            run(parked("github", "no-capacity"), parked("jira", "forbidden")),
            grants=granted("google"),
        ),
        (
            "Jane Doe's onboarding: 1 of 3 systems are ready. GitHub is parked: no free seats, with "
            "IT; Jira is parked: a permission is missing, with IT. Everything else is on track."
        ),
    ),
    "a step without a system is parked": (
        jane(run(parked(None, "bug", key="print-badge", owner="maintainers"), done=3)),
        (
            "Jane Doe's onboarding: 3 steps are done. “Print badge” is parked: the step's code "
            "failed, with maintainers. Everything else is on track."
        ),
    ),
    "the run itself is parked": (
        jane(
            run(state="parked", parked_reason="blocked", parked_with="maintainers", done=3),
        ),
        (
            "Jane Doe's onboarding: 3 steps are done. The run is parked: the current code cannot "
            "continue, with maintainers. Everything else is on track."
        ),
    ),
    "people come before systems": (
        jane(
            run(
                parked("github", ticket="OPS-12"),
                task("hand over the laptop", "Max Ortiz", due="2026-03-09 17:00"),
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. “Hand over the laptop” waits for Max "
            "Ortiz, due today 17:00; GitHub is parked since 14:02, ticket OPS-12. Everything else is "
            "on track."
        ),
    ),
    "of three tasks and a parked system, one task and the system are named": (
        jane(
            run(
                parked("github", ticket="OPS-12"),
                task("one", "A", due="2026-03-10 08:00", key="one"),
                task("two", "B", due="2026-03-10 09:00", key="two"),
                task("three", "C", due="2026-03-10 10:00", key="three"),
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. “One” waits for A, due tomorrow 08:00; "
            "GitHub is parked since 14:02, ticket OPS-12; 2 more wait. Everything else is on track."
        ),
    ),
    "of two tasks and a parked system the later task is counted": (
        jane(
            run(
                parked("github", ticket="OPS-12"),
                task("one", "A", due="2026-03-10 08:00", key="one"),
                task("two", "B", due="2026-03-10 09:00", key="two"),
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. “One” waits for A, due tomorrow 08:00; "
            "GitHub is parked since 14:02, ticket OPS-12; 1 more waits. Everything else is on track."
        ),
    ),
    "an overdue task comes before one that is due earlier today": (
        jane(
            run(
                task("two", "B", due="2026-03-09 15:00", key="two"),
                task("one", "A", due="2026-03-06 10:00", key="one"),
            ),
        ),
        (
            "Jane Doe's onboarding has begun. “One” waits for A and was due Fri; “Two” waits for B, "
            "due today 15:00. Everything else is on track."
        ),
    ),
    "a system that is tried again is no alarm": (
        jane(
            run(
                step("github", "retrying", next_at=at("2026-03-09 14:59"), failed_rounds=1),
                FIRST_DAY,
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). GitHub is being tried again, next today 14:59; nothing to do."
        ),
    ),
    "an attempt after the first is a retry": (
        jane(run(step("github", "attempting", attempt=2)), grants=FOUR),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready. GitHub is being tried again; nothing to "
            "do."
        ),
    ),
    "two systems are tried again": (
        jane(
            run(
                step("github", "retrying", next_at=at("2026-03-09 14:59")),
                step("jira", "retrying", next_at=at("2026-03-09 14:40"), since="2026-03-09 14:03"),
            ),
        ),
        (
            "Jane Doe's onboarding: 0 of 2 systems are ready. GitHub and Jira are being tried again, "
            "next today 14:40; nothing to do."
        ),
    ),
    "one parked, one tried again": (
        jane(
            run(
                parked("github", ticket="OPS-12"),
                step("jira", "retrying", next_at=at("2026-03-09 14:40")),
            ),
            grants=granted("google"),
        ),
        (
            "Jane Doe's onboarding: 1 of 3 systems are ready. GitHub is parked since 14:02, ticket "
            "OPS-12. Jira is being tried again, next today 14:40; nothing to do."
        ),
    ),
    "a first attempt is simply under way": (
        jane(run(step("github", "attempting")), grants=FOUR),
        "Jane Doe's onboarding: 4 of 5 systems are ready. Everything is on track.",
    ),
    "an invitation that is not accepted is not ready": (
        jane(
            run(FIRST_DAY, done=6),
            grants=(*FOUR, *granted("github", state="prepared")),
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track."
        ),
    ),
    "waived and refused grants are not counted": (
        jane(
            run(FIRST_DAY, done=6),
            grants=(
                *FOUR,
                *granted("github", state="waived"),
                *granted("salesforce", state="refused"),
            ),
        ),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track."
        ),
    ),
    "grants of another run are not counted": (
        jane(run(FIRST_DAY), grants=(*granted("google"), *granted("slack", run=OTHER))),
        (
            "Jane Doe's onboarding: 1 of 1 system is ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track."
        ),
    ),
    "all ready, the first day is far ahead": (
        jane(run(timer("first-day", "2026-04-01 09:00")), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is Wed 1 Apr. Everything is "
            "on track."
        ),
    ),
    "the first day is next year": (
        jane(run(timer("first-day", "2027-01-04 09:00")), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is Mon 4 Jan 2027. "
            "Everything is on track."
        ),
    ),
    "the first day is today": (
        jane(run(timer("first-day", "2026-03-09 18:00")), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is today at 18:00 (Berlin). "
            "Everything is on track."
        ),
    ),
    "the first day is known from the start": (
        jane(run(step("jira", "attempting"), effective_at=at("2026-03-16 09:00")), grants=FOUR[:2]),
        (
            "Jane Doe's onboarding: 2 of 3 systems are ready; the first day is Mon 16 Mar. Everything "
            "is on track."
        ),
    ),
    "the first day has passed and systems are missing": (
        jane(
            run(parked("github", ticket="OPS-12"), effective_at=at("2026-03-06 09:00")),
            grants=FOUR,
        ),
        (
            "Jane Doe's first day was Fri 6 Mar; 1 of 5 systems is still missing. GitHub is parked "
            "since 14:02, ticket OPS-12. Everything else is on track."
        ),
    ),
    "the first day has passed and all is ready": (
        jane(run(event("survey"), effective_at=at("2026-03-06 09:00"), done=5), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready. “Survey” is awaited since 10:00. "
            "Everything else is on track."
        ),
    ),
    "a message is awaited until a deadline": (
        jane(run(event("invitation-accepted", due="2026-03-13 12:00"), done=5)),
        (
            "Jane Doe's onboarding: 5 steps are done. “Invitation accepted” is awaited since 10:00, at "
            "the latest Fri 12:00. Everything else is on track."
        ),
    ),
    "another timer is named where nothing blocks": (
        jane(run(timer("thirty-days", "2026-04-09 09:00"), done=9), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready. Next: thirty days, Thu 9 Apr. Everything "
            "is on track."
        ),
    ),
    "a further run is counted": (
        jane(run(FIRST_DAY), run(process="expense", id=OTHER), grants=FOUR),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track; 1 more run is in flight."
        ),
    ),
    "two further runs are counted": (
        jane(
            run(FIRST_DAY),
            run(process="expense", id=OTHER),
            run(process="expense", id=UUID(int=9)),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: all 4 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track; 2 more runs are in flight."
        ),
    ),
    "an open offboarding leads before an onboarding": (
        jane(
            run(FIRST_DAY),
            run(step("github", "attempting"), process="offboarding", id=OTHER),
            grants=(
                *granted("google", "slack", state="revoked", ended=OTHER),
                *granted("github"),
            ),
        ),
        (
            "Jane Doe's offboarding: access is removed in 2 of 3 systems. Everything is on track; 1 "
            "more run is in flight."
        ),
    ),
    "the run is being cancelled": (
        jane(run(step("github", "attempting"), is_cancelling=True), grants=FOUR),
        "Jane Doe's onboarding is being cancelled.",
    ),
    "completed with all systems": (
        jane(ended("completed"), grants=FOUR),
        "Jane Doe's onboarding was completed on Fri 6 Mar; all 4 systems are ready.",
    ),
    "completed with one skipped": (
        jane(ended("completed", skipped=1), grants=FOUR),
        "Jane Doe's onboarding was completed on Fri 6 Mar; all 4 systems are ready, 1 skipped.",
    ),
    "completed with an open invitation": (
        jane(ended("completed"), grants=(*FOUR, *granted("github", state="prepared"))),
        "Jane Doe's onboarding was completed on Fri 6 Mar; 4 of 5 systems are ready.",
    ),
    "completed without systems": (
        jane(ended("completed", process="access-request")),
        "Jane Doe's access request was completed on Fri 6 Mar.",
    ),
    "completed last year": (
        jane(ended("completed", when="2025-12-30 10:00"), grants=granted("google")),
        "Jane Doe's onboarding was completed on Tue 30 Dec 2025; 1 of 1 system is ready.",
    ),
    "an offboarding is completed": (
        jane(
            ended("completed", process="offboarding"),
            grants=granted("google", "slack", state="revoked", ended=RUN),
        ),
        "Jane Doe's offboarding was completed on Fri 6 Mar; access is removed in all 2 systems.",
    ),
    "cancelled, nothing left": (
        jane(ended("cancelled"), grants=granted("google", state="revoked")),
        "Jane Doe's onboarding was cancelled on Fri 6 Mar; no access is left.",
    ),
    "cancelled, access left": (
        jane(ended("cancelled"), grants=FOUR),
        "Jane Doe's onboarding was cancelled on Fri 6 Mar; 4 systems are still granted.",
    ),
    "ended without success": (
        jane(ended("failed", failure="Rejected")),
        "Jane Doe's onboarding ended without success on Fri 6 Mar (declined); HR has it.",
    ),
    "ended without success for a reason of the company": (
        jane(ended("failed", failure="NoDesk", owner=None)),
        "Jane Doe's onboarding ended without success on Fri 6 Mar.",
    ),
    "the last joiner leads before a later request": (
        jane(
            ended("completed", process="access-request", when="2026-03-08 10:00", id=OTHER),
            ended("completed"),
            grants=FOUR,
        ),
        "Jane Doe's onboarding was completed on Fri 6 Mar; all 4 systems are ready.",
    ),
    "the systems of the plan are counted before anything is made there": (
        jane(
            run(
                task("confirm the hire", "Max Ortiz", due="2026-03-11 09:00"),
                done=1,
                ahead=ahead(1, 9, "google", "slack", "github"),
            )
        ),
        (
            "Jane Doe's onboarding: 0 of 3 systems are ready. “Confirm the hire” waits for Max Ortiz, "
            "due Wed 09:00. Everything else is on track."
        ),
    ),
    "the whole holds what is made, open and to come": (
        jane(
            run(parked("github", ticket="OPS-12"), ahead=ahead(5, 9, "github", "salesforce")),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 6 systems are ready. GitHub is parked since 14:02, ticket "
            "OPS-12. Everything else is on track."
        ),
    ),
    "a system is not ready while more access comes there": (
        jane(run(FIRST_DAY, done=4, ahead=ahead(4, 6, "slack")), grants=granted("google", "slack")),
        (
            "Jane Doe's onboarding: 1 of 2 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). Everything is on track."
        ),
    ),
    "steps are counted where the plan has no system": (
        jane(run(task("check the ID", "Max Ortiz"), process="badge-check", ahead=ahead(5, 9))),
        (
            "Jane Doe's badge check: 5 of 9 steps are done. “Check the ID” waits for Max Ortiz. "
            "Everything else is on track."
        ),
    ),
    "of one step": (
        jane(run(task("check the ID", "Max Ortiz"), process="badge-check", ahead=ahead(0, 1))),
        (
            "Jane Doe's badge check: 0 of 1 step is done. “Check the ID” waits for Max Ortiz. "
            "Everything else is on track."
        ),
    ),
    "the first work lies ahead in three systems": (
        jane(run(timer("prepare", "2026-03-12 08:00"), ahead=ahead(0, 9, "google", "slack"))),
        "Jane Doe's onboarding begins Thu 08:00. Everything is on track.",
    ),
    "the first day is past, and two systems are still to come": (
        jane(
            run(
                step("jira", "attempting"),
                effective_at=at("2026-03-06 09:00"),
                ahead=ahead(5, 9, "jira", "github"),
            ),
            grants=FOUR[:2],
        ),
        (
            "Jane Doe's first day was Fri 6 Mar; 2 of 4 systems are still missing. "
            "Everything is on track."
        ),
    ),
    "of a leaver the ledger knows all systems": (
        jane(
            run(
                step("google", "attempting"), process="offboarding", ahead=ahead(1, 4, "salesforce")
            ),
            grants=granted("google", "slack"),
        ),
        ("Jane Doe's offboarding: access is removed in 0 of 2 systems. Everything is on track."),
    ),
    "too long, the rest goes first": (
        jane(
            run(
                parked("github", "no-capacity", ticket="OPS-12"),
                task(
                    "hand over the laptop and the badge",
                    "Maximiliane von der Ortizheim",
                    due="2026-03-09 17:00",
                ),
                FIRST_DAY,
            ),
            grants=FOUR,
        ),
        (
            "Jane Doe's onboarding: 4 of 5 systems are ready; the first day is tomorrow at 09:00 "
            "(Berlin). “Hand over the laptop and the badge” waits for Maximiliane von der Ortizheim, "
            "due today 17:00; GitHub is parked: no free seats, ticket OPS-12."
        ),
    ),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_sentence_says_where_a_person_stands(case):
    """Each case of the table reads exactly as written, and its parts are the sentence."""
    snapshot, sentence = CASES[case]
    found = status(snapshot, NOW, BERLIN)
    assert found.sentence == sentence
    assert "".join(part.text for part in found.parts) == sentence


def test_the_table_is_large_enough():
    """At least forty cases are told."""
    assert len(CASES) >= 40


def test_too_long_even_so_the_second_name_goes():
    """When leaving the rest out is not enough, one cause is named and the other counted."""
    found = status(
        jane(
            run(
                parked("github", "ownership-conflict", ticket="PLATFORM-OPERATIONS-1234567"),
                task("x" * 60, "y" * 60, due="2026-03-09 17:00"),
                FIRST_DAY,
            ),
            grants=FOUR,
        ),
        NOW,
        BERLIN,
    )
    assert len(found.sentence) <= LIMIT
    assert "GitHub is parked" in found.sentence
    assert "1 more waits" in found.sentence


def test_parts_lead_to_what_they_speak_of():
    """The parts that name a task and a parked system carry their tone and address."""
    snapshot, _ = CASES["people come before systems"]
    linked = [(part.tone, part.href) for part in status(snapshot, NOW, BERLIN).parts if part.href]
    assert linked == [
        ("task", "/tasks/tsk_00000000000000000000000003"),
        ("park", "/runs/run_00000000000000000000000007#github.create_user"),
    ]


def test_the_leading_run_is_the_one_due_first():
    """Of two open runs of one kind the one with the earlier due time leads."""
    late = run(timer("first-day", "2026-03-20 09:00"), id=OTHER)
    soon = run(FIRST_DAY)
    assert leading([late, soon]) == soon


def test_attention_is_asked_for_only_where_a_person_must_act():
    """Open tasks and parked steps ask for attention, retries do not."""
    asking = {
        case: status(CASES[case][0], NOW, BERLIN).attention
        for case in ("the manager is asked", "parked for lack of seats", "the run itself is parked")
    }
    calm = status(CASES["a system that is tried again is no alarm"][0], NOW, BERLIN).attention
    assert (set(asking.values()), calm) == ({True}, False)


def test_the_next_moment_is_the_earliest_of_all():
    """`next` names what happens first by itself, with its moment."""
    found = status(
        jane(run(FIRST_DAY, step("github", "retrying", next_at=at("2026-03-09 14:59")))),
        NOW,
        BERLIN,
    )
    assert found.next is not None
    assert (found.next.phrase, found.next.at) == ("retry GitHub", at("2026-03-09 14:59"))


def test_the_counts_of_the_plan_come_along():
    """`steps` are those of the run that the sentence leads with, where its plan is known."""
    counted = ahead(5, 9, "github", perhaps=2)
    assert status(jane(run(FIRST_DAY, ahead=counted)), NOW, BERLIN).steps == counted
    assert status(jane(run(FIRST_DAY)), NOW, BERLIN).steps is None


def test_the_zone_is_the_askers():
    """The same first day is written at the asker's wall clock."""
    found = status(jane(run(FIRST_DAY), grants=FOUR), NOW, ZoneInfo("America/New_York"))
    assert "tomorrow at 04:00 (New York)" in found.sentence


words = st.text(max_size=400).filter(lambda text: "None" not in text)
"""What people may write, but for the word that would be a fault of ours."""
acts = st.builds(
    OpenFact,
    key=st.text("abc-.[]/", min_size=1, max_size=80),
    kind=st.sampled_from(["step", "timer", "approval", "event"]),
    state=st.sampled_from(["attempting", "retrying", "parked", "open"]),
    since=st.datetimes(
        datetime(2025, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2027, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    due_at=st.none()
    | st.datetimes(
        datetime(2025, 1, 1),  # noqa: DTZ001
        datetime(2027, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    system=st.none() | st.sampled_from([*TITLES, "another"]),
    reason=st.none() | st.sampled_from(["outage", "unknown", "bug", "what"]),
    owner=st.none() | words,
    task=st.none() | st.just(UUID(int=3)),
    task_title=st.none() | words,
    assignee=st.none() | words,
    ticket=st.none() | words.map(lambda text: text[:80]),
)


@given(
    name=words,
    opened=st.lists(acts, max_size=8),
    state=st.sampled_from(["running", "waiting", "parked", "completed", "failed", "cancelled"]),
    done=st.integers(0, 50),
)
def test_any_person_is_told_in_few_words(name, opened, state, done):
    """Whatever is open, the sentence is one line of at most 240 characters and never `None`."""
    one = run(*opened, state=state, done=done)
    if state in {"completed", "failed", "cancelled"}:
        one = replace(one, finished_at=NOW - timedelta(days=1), acts=())
    sentence = status(jane(one, name=name, grants=FOUR), NOW, BERLIN).sentence
    assert 0 < len(sentence) <= LIMIT
    assert "\n" not in sentence
    assert "None" not in sentence
