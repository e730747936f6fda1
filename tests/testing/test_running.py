"""The testing kit as its users meet it: runs in memory, verbs, time, crashes, orders."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies

from newel import (
    Absent,
    Decision,
    Event,
    Found,
    Overdue,
    Person,
    Rejected,
    Transient,
    approval,
    days,
    hours,
    parallel,
    process,
    step,
    team,
    timer,
)
from newel.base.errors import NotFound, ReasonMissing, SelfApproval
from newel.base.secrets import SecretRef
from newel.connectors.google import Google
from newel.connectors.reveal_link import reveal_link
from newel.testing import (
    Crash,
    EndedOtherwise,
    Order,
    Saas,
    StillWaits,
    crashes,
    every_crash,
    interleavings,
    running,
)
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it

effects: Counter[str] = Counter()
down: set[str] = set()
paid = Event("paid", str)


async def _look(name: str) -> Found[str] | Absent:
    return Found(name) if effects[name] else Absent()


@step(verify=_look)
async def make(name: str) -> str:
    """Make something exactly once."""
    if name in down:
        raise Transient("no answer")
    effects[name] += 1
    return name


@process(subject=None, owner="it")
async def journey(name: str) -> str:
    """Decide, make, pay, wait."""
    try:
        decision = await approval("boss", by=team("hr"), within=days(1))
    except Overdue:
        decision = await approval("deputy", by=team("it"))
    if not decision.approved:
        raise Rejected(decision)
    first = await make["a"]("a")
    b, c = await parallel(make["b"]("b"), make["c"]("c"))
    reference = await paid.wait(match=name)
    await timer("pause", after=days(400))
    return f"{first}{b}{c}/{reference}"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    effects.clear()
    down.clear()


async def test_a_run_is_led_to_its_end_by_verbs_and_time():
    """Each verb returns when the run rests; 400 days pass when the test says so."""
    async with running(journey.request("x"), at="2026-01-02") as run:
        assert run.waiting() == {"boss"}
        await run.decide("boss", approved=True)
        assert (run.waiting(), run.done()) == (
            {"paid"},
            ["boss", "make[a]", "make[b]", "make[c]"],
        )
        await run.send(paid, "FIN-1", match="x")
        assert run.waiting() == {"pause"}
        run.clock.advance(days(400))
        assert (await run.result(), run.state) == ("abc/FIN-1", "completed")
        assert (run.outcome("make[b]"), run.outcome("paid"), run.attempts("make[a]")) == (
            "b",
            "FIN-1",
            1,
        )
    assert effects == {"a": 1, "b": 1, "c": 1}


async def test_a_deadline_passes_when_the_clock_does():
    """Two days later the deputy is asked; the clock stands where it was told to."""
    async with running(journey.request("x"), at=datetime(2026, 1, 2, tzinfo=UTC)) as run:
        run.clock.move_to("2026-01-04T12:00:00")
        assert run.waiting() == {"deputy"}
        assert run.clock.now() - datetime(2026, 1, 4, 12, tzinfo=UTC) < timedelta(seconds=2)
        with pytest.raises(ValueError, match="forwards only"):
            run.clock.move_to("2026-01-03")


async def test_a_result_that_is_not_there_yet_says_what_it_waits_for():
    """Who asks too early is told which key waits, for whom, since when and until when."""
    async with running(journey.request("x"), at="2026-01-02") as run:
        with pytest.raises(
            StillWaits, match=r"waits for `boss` \(team hr\) since 2 Jan 00:00, due 3"
        ):
            await run.result()
        with pytest.raises(NotFound, match="waits for `boss`"):
            await run.decide("deputy", approved=True)


async def test_a_refused_run_ends_with_its_reason():
    """A run that failed has no result; the reason is told."""
    async with running(journey.request("x")) as run:
        await run.decide("boss", approved=False, comment="no budget")
        assert run.outcome("boss") == Decision(
            approved=False,
            by=run.outcome("boss").by,
            comment="no budget",
            at=run.outcome("boss").at,
        )
        with pytest.raises(EndedOtherwise, match="journey is failed"):
            await run.result()


async def test_a_failure_that_nobody_looked_at_fails_the_test():
    """At the end of the block a failed run that was never looked at is an error."""
    with pytest.raises(EndedOtherwise, match="journey is failed"):
        async with running(journey.request("x")) as run:
            await run.decide("boss", approved=False)


async def test_the_course_of_a_run_is_changed_by_verbs_of_its_own():
    """Paused it begins nothing; a moment moves; a fork goes its own way; each asks for a reason."""
    async with running(journey.request("x"), at="2026-01-02") as run:
        await run.reschedule("boss", at=datetime(2026, 1, 5, tzinfo=UTC))
        run.clock.move_to("2026-01-04T12:00:00")
        assert run.waiting() == {"boss"}
        await run.pause()
        await run.decide("boss", approved=True)
        assert effects == {}
        with pytest.raises(ReasonMissing):
            await run.amend(journey.request("y"), reason="")
        await run.resume()
        assert (run.waiting(), dict(effects)) == ({"paid"}, {"a": 1, "b": 1, "c": 1})
        other = await run.fork("make[b]")
        assert [each.id for each in run.runs("journey")] == [run.id, other.id]
        await run.send(paid, "FIN-1", match="x")
        assert (run.waiting(), other.id == run.id) == ({"pause"}, False)


async def test_an_amendment_is_asked_about_before_it_is_made():
    """Dry it says what would happen and changes nothing; then an open wait asks for another."""
    async with running(journey.request("x"), at="2026-01-02") as run:
        await run.decide("boss", approved=True)
        told = await run.amend(journey.request("y"), dry=True)
        assert run.waiting() == {"paid"}
        assert await run.amend(journey.request("y")) == told
        await run.send(paid, "FIN-1", match="y")
        drawn = [str(run.drawing().patterns.of(key)) for key in run.done()]
        assert drawn == ["boss", "make[a]", "make[b]", "make[c]", "paid"]


@process(subject=None, owner="it")
async def broken(number: int) -> int:
    """Divide."""
    await timer("pause", after=hours(1))
    return 1 // number


async def test_a_bug_parks_the_run_and_new_code_mends_it():
    """The traceback is told; after a deployment and a retry the run goes on."""

    @process(subject=None, owner="it", name="broken")
    async def mended(number: int) -> int:
        """Divide with care."""
        await timer("pause", after=hours(1))
        return 1 // max(number, 1)

    async with running(broken.request(0)) as run:
        run.clock.advance(hours(1))
        parked = run.parked()[""]
        assert (parked.reason, "ZeroDivisionError" in parked.sentence) == ("bug", True)
        run.deploy(mended)
        await run.retry()
        assert await run.result() == 1


async def test_an_outage_is_escalated_and_a_ticket_is_opened():
    """Three rounds within an hour, then the step parks; a retry after the repair goes on."""
    down.add("a")
    async with running(journey.request("x")) as run:
        await run.decide("boss", approved=True)
        assert (run.waiting(), set(run.retrying())) == (set(), {"make[a]"})
        run.clock.advance(hours(1))
        assert {key: each.owner for key, each in run.parked().items()} == {"make[a]": "it"}
        assert len(run.tickets.opened) == 1
        down.clear()
        await run.retry("make[a]")
        assert run.waiting() == {"paid"}


async def test_who_may_decide_is_a_matter_of_the_engine():
    """A decider that is given is not excused from the rules."""
    async with running(journey.request("x")) as run:
        mine = await run.do(run.engine.actor("mary@example.test", via="api"))
        other = await run.start(journey.request("y"), actor=mine)
        with pytest.raises(SelfApproval):
            await other.decide("boss", approved=True, actor=mine)
        await other.decide("boss", approved=True)
        assert (run.waiting(), other.waiting()) == ({"boss"}, {"paid"})
        assert [each.id for each in run.runs("journey")] == [run.id, other.id]


async def _play(crash: Crash | None = None, order: Order | None = None) -> list[object]:
    effects.clear()
    async with running(journey.request("x"), crash=crash, order=order) as run:
        run.clock.advance(days(1))
        await run.decide("deputy", approved=True)
        await run.send(paid, "FIN-1", match="x")
        run.clock.advance(days(400))
        assert await run.result() == "abc/FIN-1"
        assert effects == {"a": 1, "b": 1, "c": 1}
        return run.trace()  # type: ignore[return-value]  # pairs


async def test_a_crash_anywhere_changes_nothing():
    """Killed at every boundary, or frozen and woken too late, the run ends the same."""
    found = await every_crash(_play)
    assert len({str(crash) for crash in found}) == len(found) > 25
    for crash in found:
        await _play(crash)


@settings(max_examples=12)
@given(crash=crashes(most=40), seed=strategies.integers(1, 1000))
async def test_a_crash_that_is_drawn_changes_nothing_in_any_order(crash: Crash, seed: int):
    """Crashes and orders are drawn together; the same end, and a crash names where it was."""
    await _play(crash, Order(seed))
    assert crash.point is not None
    happened = crash.point.number < len(crash.seen.points)
    assert ("boundary" not in str(crash)) == happened


async def test_answers_arrive_in_every_order_and_the_end_is_the_same():
    """Seeded orders differ in their journals and agree in their end; a seed is repeatable."""
    traces = [str(await _play(order=order)) for order in interleavings(30)]
    assert len(set(traces)) > 1
    assert str(await _play(order=Order(7))) == traces[6]


google = Google(
    service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"),
    admin="admin@acme.example",
    deliver=reveal_link(to=lambda _: "jane@home.example", sender="it@acme.example", host="mail"),
)


@process(owner="hr")
async def joining(person: Person) -> None:
    """Get an account, and its first password."""
    await google.ensure_account(person)
    await google.issue_password(person)


async def test_a_first_password_is_fetched_in_a_test(saas: Saas):  # noqa: F811 - as above
    """No mail is sent: the link is in `saas.mails`, shows the password once, and not after days."""
    jane = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
    async with running(joining.request(jane)) as run:
        await run.result()
        [mail] = saas.mails
        assert mail["To"] == "jane@home.example"
        link = re.findall(r"https://newel.example.test/reveal/(\S+)", mail.get_content())[0]
        revealed = await run.do(run.engine.safe.reveal(link))
        assert len(revealed.secret.reveal()) > 40
        assert await run.do(run.engine.safe.reveal(link)) is None
        again = await run.start(joining.request(jane))
        assert again.state == "completed"
        assert len(saas.mails) == 1
