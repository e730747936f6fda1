"""A finished act whose input has changed: what is said, and the three ways out of it."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from newel import Person
from newel.base.errors import NotFound, NotWaiting, ReasonMissing
from newel.domain.fingerprint import differences, said
from newel.testing import every_crash
from newel.testing.running import OPERATOR, running
from tests.changes.versions import World, version

GRANTING = """
@dataclass(frozen=True)
class Access:
    team: str
    level: str = "read"

@step(in_doubt="repeat")
async def grant(access: Access, note: str = "") -> str:
    return f"granted {access.team}"

@step(in_doubt="repeat")
async def tell(text: str) -> None: ...

@process(subject=None, owner="it")
async def granting() -> str:
    result = await grant["api"](Access("core"))
    await approval("checked", by=team("it"))
    await tell(result)
    return result
"""
INFRA = GRANTING.replace('Access("core")', 'Access("infra")')
SENTENCE = (
    "The input of the finished step `grant[api]` has changed since it ran: "
    "access.team `core` → `infra`. Keep the result, or run it again."
)


def sentences(run):
    """What was said of drifts, oldest first."""
    return [
        orjson.loads(run._opened(row["payload"]))["why"]
        for row in run.events()
        if row["type"] == "run.drifted"
    ]


async def test_what_has_changed_is_said_field_by_field():
    """The sentence names step, field, old and new value; no leaf holds a value."""
    world = World()
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(INFRA, world))
        assert {key: each.reason for key, each in run.parked().items()} == {"grant[api]": "drifted"}
        assert sentences(run) == [SENTENCE]
        assert run.row["parked_reason"] == "drifted"
        leaves = orjson.dumps(run.audit())
        assert b"infra" not in leaves
        assert b"core" not in leaves
        run.deploy(version(GRANTING, world))
        assert (run.state, run.waiting(), run.parked()) == ("waiting", {"checked"}, {})
        assert sum(world.effects.values()) == 1


async def test_the_recorded_outcome_is_kept():
    """Keep: the recorded outcome stands for the new input; its reason is in the log."""
    world = World()
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(INFRA, world))
        with pytest.raises(ReasonMissing):
            await run.do(run.engine.keep(run.id, "grant[api]", actor=OPERATOR, reason=" "))
        with pytest.raises(NotFound):
            await run.do(run.engine.keep(run.id, "nothing", actor=OPERATOR, reason="so"))
        await run.do(run.engine.keep(run.id, "grant[api]", actor=OPERATOR, reason="it is the same"))
        await run.decide("checked", approved=True)
        assert await run.result() == "granted core"
        assert sum(world.effects.values()) == 2
        (kept,) = [leaf for leaf in run.audit() if leaf["type"] == "step.kept"]
        assert (kept["data"]["by"], kept["reason"]["code"]) == ("person", "keep")
        run.deploy(version(INFRA + "\n# again", world))
        assert run.state == "completed"


async def test_a_kept_outcome_drifts_again_only_for_another_input():
    """What was accepted stays accepted; a third input is asked about anew."""
    world = World()
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(INFRA, world))
        await run.do(run.engine.keep(run.id, "grant[api]", actor=OPERATOR, reason="so"))
        run.deploy(version(INFRA + "\n# the same", world))
        assert run.parked() == {}
        run.deploy(version(INFRA.replace('"infra"', '"sales"'), world))
        assert sentences(run)[-1].count("access.team `infra` → `sales`") == 1
        with pytest.raises(NotWaiting):
            await run.do(run.engine.keep(run.id, "checked", actor=OPERATOR, reason="so"))


async def test_the_step_is_run_again_when_it_is_named():
    """Retry by name: the step runs with the new input, under a new idempotency key."""
    world = World()
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(INFRA, world))
        await run.retry()
        assert sum(world.effects.values()) == 1, "without a name nothing finished is done again"
        await run.retry("grant[api]")
        assert sum(world.effects.values()) == 2
        assert run.waiting() == {"checked"}
        await run.decide("checked", approved=True)
        assert await run.result() == "granted infra"
        started = [
            leaf
            for leaf in run.audit()
            if leaf["type"] == "step.started" and leaf["step"]["key"] == "grant[api]"
        ]
        assert [leaf["step"]["attempt"] for leaf in started] == [1, 2]
        assert len({leaf["data"]["idempotency_key"] for leaf in started}) == 2
        outcomes = [key for kind, key in run.trace() if kind == "step.succeeded"]
        assert outcomes == ["grant[api]", "grant[api]", "tell"], "the first stays in the log"


async def test_another_result_can_be_given_by_hand():
    """Complete by hand: the given result replaces the recorded one, for the new input."""
    world = World()
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(INFRA, world))
        await run.complete_by_hand("grant[api]", "granted by hand")
        run.deploy(version(INFRA + "\n# the same", world))
        assert run.waiting() == {"checked"}
        await run.decide("checked", approved=True)
        assert await run.result() == "granted by hand"
        assert world.effects["tell(granted by hand)"] == 1


async def test_a_drifted_run_can_be_cancelled():
    """Cancel: the run ends, and nothing of it stays open."""
    async with running(version(GRANTING).request()) as run:
        run.deploy(version(INFRA))
        await run.cancel()
        assert run.state == "cancelled"
        assert run.acts() == []
        assert [row["state"] for row in run._scene.rows("task")] == ["withdrawn"]


async def test_other_branches_go_on_while_one_has_drifted():
    """A drift stops its branch; a timer in another branch still fires, and its step runs."""
    text = """
    @step(in_doubt="repeat")
    async def grant(team: str) -> str:
        return team

    @step(in_doubt="repeat")
    async def remind() -> None: ...

    async def granted() -> None:
        await grant("core")
        await approval("checked", by=team("it"))

    async def reminded() -> None:
        await timer("later", after=days(1))
        await remind()

    @process(subject=None, owner="it")
    async def both() -> None:
        await parallel(granted(), reminded())
    """
    world = World()
    async with running(version(text, world).request()) as run:
        run.deploy(version(text.replace('grant("core")', 'grant("infra")'), world))
        assert run.state == "waiting", "the run still has something to do"
        assert run.parked()["grant"].reason == "drifted"
        assert run.clock.move_to_next()
        assert world.effects == {"grant(core)": 1, "remind()": 1}
        assert run.state == "parked"
        await run.do(run.engine.keep(run.id, "grant", actor=OPERATOR, reason="so"))
        await run.decide("checked", approved=True)
        assert run.state == "completed"


async def test_an_outcome_without_a_place_can_be_kept():
    """An operator lets a finished act stand that the code no longer asks for."""
    world = World()
    removed = GRANTING.replace(
        '    result = await grant["api"](Access("core"))\n', '    result = "no"\n'
    )
    async with running(version(GRANTING, world).request()) as run:
        run.deploy(version(removed, world))
        assert run.row["parked_reason"] == "blocked"
        await run.do(run.engine.keep(run.id, "grant[api]", actor=OPERATOR, reason="it may stay"))
        assert run.waiting() == {"checked"}
        await run.decide("checked", approved=True)
        assert await run.result() == "no"


AMENDED = """
@step(in_doubt="repeat", on_amend="{policy}")
async def grant(team: str) -> str:
    return f"granted {{team}}"

@step(in_doubt="repeat", on_amend="redo")
async def tell(text: str) -> None: ...

@process(subject=None, owner="it")
async def granting(unit: str) -> str:
    result = await grant(unit)
    await tell(result)
    await approval("checked", by=team("it"))
    return result
"""


@pytest.mark.parametrize(
    ("policy", "effects", "result"),
    [
        (
            "redo",
            {"grant(core)", "tell(granted core)", "grant(infra)", "tell(granted infra)"},
            "infra",
        ),
        ("keep", {"grant(core)", "tell(granted core)"}, "core"),
        ("ask", {"grant(core)", "tell(granted core)"}, None),
    ],
)
async def test_a_step_says_beforehand_what_an_amended_input_means(policy, effects, result):
    """`on_amend=`: run again, with what follows from it; kept; or asked about (the default)."""
    world = World()
    async with running(version(AMENDED.format(policy=policy), world).request("core")) as run:
        await run.amend(run.process.request("infra"), reason="moved")
        assert dict(world.effects) == dict.fromkeys(effects, 1)
        if result is None:
            assert run.parked()["grant"].reason == "drifted"
            return
        assert run.waiting() == {"checked"}
        run.deploy(version(AMENDED.format(policy=policy) + "\n# again", world))
        assert (run.waiting(), sum(world.effects.values())) == ({"checked"}, len(effects))
        await run.decide("checked", approved=True)
        assert await run.result() == f"granted {result}"


async def test_code_alone_never_runs_a_finished_step_again():
    """`on_amend="redo"` is for amended inputs: after a change of code a person is asked."""
    world = World()
    text = GRANTING.replace('in_doubt="repeat"', 'in_doubt="repeat", on_amend="redo"')
    async with running(version(text, world).request()) as run:
        run.deploy(version(text.replace('"core"', '"infra"'), world))
        assert run.parked()["grant[api]"].reason == "drifted"
        assert sum(world.effects.values()) == 1


ASKING = """
@step(in_doubt="repeat")
async def tell() -> None: ...

@process(subject=None, owner="it")
async def asking() -> None:
    await approval("allowed", by=team("hr"), within=days(2))
    await timer("begins", at=datetime(2026, 1, 9, tzinfo=UTC))
    await tell()
    await approval("checked", by=team("it"))
"""


async def test_a_closed_wait_drifts_by_what_its_outcome_rests_on():
    """Who was asked matters after the answer, the deadline does not; it can be asked again."""
    world = World()
    async with running(version(ASKING, world).request()) as run:
        await run.decide("allowed", approved=True)
        run.deploy(version(ASKING.replace("within=days(2)", "within=days(5)"), world))
        assert (run.state, run.waiting()) == ("waiting", {"begins"})
        run.deploy(version(ASKING.replace('team("hr")', 'team("board")'), world))
        assert run.row["parked_reason"] == "drifted"
        assert sentences(run)[-1].startswith(
            "The input of the finished wait `allowed` has changed since it ran: by `hr` → `board`."
        )
        await run.retry("allowed")
        assert "allowed" in run.waiting(), run.waits_for()
        await run.decide("allowed", approved=True)
        assert run.waiting() == {"begins"}


async def test_a_timer_that_has_fired_drifts_when_its_moment_moves():
    """B20: moved while it is open the timer follows; after it has fired it is drift, kept here."""
    world = World()
    moved = ASKING.replace("2026, 1, 9", "2026, 1, 12")
    async with running(version(ASKING, world).request()) as run:
        await run.decide("allowed", approved=True)
        run.deploy(version(moved, world))
        (due,) = [act["due_at"] for act in run.acts() if act["key"] == "begins"]
        assert due == datetime(2026, 1, 12, tzinfo=UTC)
        run.clock.move_to("2026-01-12")
        assert world.effects == {"tell()": 1}
        run.deploy(version(f"{ASKING}\n# as it was", world))
        assert run.row["parked_reason"] == "drifted"
        assert "at `2026-01-12T00:00:00+00:00` → `2026-01-09T00:00:00+00:00`" in sentences(run)[-1]
        await run.do(run.engine.keep(run.id, "begins", actor=OPERATOR, reason="it was right"))
        assert run.waiting() == {"checked"}
        await run.decide("checked", approved=True)
        assert run.state == "completed"
        assert world.effects == {"tell()": 1}


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"team": "core"}, {"team": "infra"}, "team `core` → `infra`"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b `1` → `2`"),
        ({}, {"level": "admin"}, "level is new: `admin`"),
        ({"level": None}, {}, "level is gone, it was `nothing`"),
        ({"on": True}, {"on": False}, "on `yes` → `no`"),
        ({"all": ["a"]}, {"all": []}, "all `a` → `nothing`"),
        ({"at": {"x": 1}}, {"at": 7}, "at `x 1` → `7`"),
        ({"t": "x" * 80}, {"t": "y"}, f"t `{'x' * 59}…` → `y`"),
        (
            {str(n): 0 for n in range(6)},
            {str(n): 1 for n in range(6)},
            "0 `0` → `1`, 1 `0` → `1`, 2 `0` → `1`, 3 `0` → `1` and 2 more",
        ),
        ({"a": 1}, {"a": 1}, ""),
    ],
)
def test_a_difference_is_readable(before, after, text):
    """Each kind of difference has its words; long values are cut, many are counted."""
    assert said(differences(before, after)) == text


ADMITTING = """
@step(system="wiki", grants="space/{space}", in_doubt="repeat")
async def admit(person: Person, space: str, note: str = "") -> None: ...

@step(system="wiki", revokes="space/{space}", in_doubt="repeat")
async def expel(person: Person, space: str) -> None: ...

@process(owner="it")
async def spaces(person: Person) -> None:
    async with compensation() as undo:
        undo(expel, person, "core")
        await admit(person, "core")
        await approval("checked", by=team("it"))
"""
ELSEWHERE = ADMITTING.replace('await admit(person, "core")', 'await admit(person, "infra")')
NOTED = ADMITTING.replace('await admit(person, "core")', 'await admit(person, "core", "again")')
LEO = Person(name="Leo Leaver", email="leo.leaver@acme.example")


def held(run):
    """What the subject has of each space: its state."""
    return {row["entitlement"]: row["state"] for row in run.intervals()}


async def of_admission(run, how):
    """Take one of the ways out of a drift of the step that gave access."""
    match how:
        case "keep":
            await run.do(run.engine.keep(run.id, "admit", actor=OPERATOR, reason="so"))
        case "run again":
            await run.retry("admit")
        case "by hand":
            await run.complete_by_hand("admit", None)
        case "skip":
            await run.skip("admit")


WAYS = {
    "keep": {"wiki:space/core": "active"},
    "run again": {"wiki:space/core": "active", "wiki:space/infra": "active"},
    "by hand": {"wiki:space/core": "active", "wiki:space/infra": "active"},
    "skip": {"wiki:space/core": "active", "wiki:space/infra": "waived"},
}


@pytest.mark.parametrize("how", WAYS)
async def test_access_that_a_drifted_step_gave_stays_and_is_named(how):
    """Of other access the sentence says what is left; the ledger tells both, whichever way out."""
    async with running(version(ADMITTING).request(LEO)) as run:
        run.deploy(version(ELSEWHERE))
        assert sentences(run) == [
            (
                "The input of the finished step `admit` has changed since it ran: space `core` → "
                "`infra`. Keep the result, or run it again. What it gave, `wiki:space/core`, stays "
                "until it is taken away."
            )
        ]
        await of_admission(run, how)
        assert (run.waiting(), held(run)) == ({"checked"}, WAYS[how])
        await run.decide("checked", approved=True)
        assert run.state == "completed"


@pytest.mark.parametrize("how", WAYS)
async def test_the_same_access_is_neither_given_twice_nor_waived(how):
    """Where only a note has changed the grant is the one there was; called off, it is ended."""
    async with running(version(ADMITTING).request(LEO)) as run:
        run.deploy(version(NOTED))
        assert sentences(run)[0].endswith("Keep the result, or run it again.")
        await of_admission(run, how)
        assert [row["made_key"] for row in run.intervals()] == ["admit"]
        assert held(run) == {"wiki:space/core": "active"}
        await run.cancel()
        assert (run.state, held(run)) == ("cancelled", {"wiki:space/core": "revoked"})


async def test_a_drifted_step_gives_access_once_wherever_the_worker_dies():
    """Run again under a crash at every boundary: one grant of each space, and one outcome more."""
    before, after = version(ADMITTING), version(ELSEWHERE)

    async def play(crash=None):
        async with running(before.request(LEO), crash=crash) as run:
            run.deploy(after)
            await run.retry("admit")
            assert held(run) == WAYS["run again"]
            assert len(run.intervals()) == 2

    for crash in await every_crash(play):
        await play(crash)


async def test_a_drifted_step_gives_access_again_on_postgresql(engine):
    """The same on a real database: both grants rest on outcomes of the key that made them."""
    async with engine.running(version(ADMITTING).request(LEO)) as run:
        run.deploy(version(ELSEWHERE))
        await of_admission(run, "run again")
        assert held(run) == WAYS["run again"]
        seqs = {row["seq"]: (row["type"], row["key"]) for row in run.events()}
        made = {seqs[row["made_seq"]] for row in run.intervals()}
        assert made == {("step.succeeded", "admit")}
