"""Edits beyond the guide's: loops, branches, early ends, sections, many former names."""

from __future__ import annotations

import re

import pytest

from newel.base.errors import Refused
from newel.testing.running import running
from tests.changes.versions import World, version

STEPS = """
@step(in_doubt="repeat")
async def a(x: str = "") -> str:
    return f"a{x}"

@step(in_doubt="repeat")
async def b(x: str = "") -> str:
    return f"b{x}"

@step(in_doubt="repeat")
async def c(x: str = "") -> str:
    return f"c{x}"
"""


def process_of(body: str, *, options: str = "", helpers: str = "") -> str:
    """A module with three steps and a process of this body."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    head = f'{helpers}\n@process(subject=None, owner="it"{options})'
    return f"{STEPS}\n{head}\nasync def work() -> None:\n{lines}\n"


GATE = 'await approval("gate", by=team("it"))'
UNCHANGED = [
    ("await a()\nawait b()\nGATE", "await b()\nawait a()\nGATE"),
    ("await parallel(a(), b())\nGATE", "await parallel(b(), a())\nGATE"),
    ("await parallel(a(), b())\nGATE", "await a()\nawait b()\nGATE"),
    ("for x in 'pq':\n    await a[x](x)\nGATE", "for x in 'qp':\n    await a[x](x)\nGATE"),
    ("await a()\nGATE\nawait b()", "await a()\nGATE\nawait c()"),
    ("await a()\nGATE", "for _ in range(1):\n    await a()\nGATE"),
    ("await a()\nGATE", "try:\n    await a()\nfinally:\n    x = 1\nGATE"),
    (
        "with section('s'):\n    await a()\nGATE",
        "with section('s'):\n    await a()\n    x = 1\nGATE",
    ),
]
BLOCKED = [
    ("await a()\nGATE", "GATE", "no longer asks for `a`"),
    ("await a()\nawait b()\nGATE", "await b()\nGATE", "no longer asks for `a`"),
    (
        "for x in 'pqr':\n    await a[x](x)\nGATE",
        "for x in 'pr':\n    await a[x](x)\nGATE",
        "`a[q]`",
    ),
    ("for x in 'pqr':\n    await a('')\nGATE", "for x in 'pq':\n    await a('')\nGATE", "`a#3`"),
    ("for x in 'pq':\n    await a(x)\nGATE", "for x in 'pq':\n    await a[x](x)\nGATE", "`a`"),
    ("await parallel(a(), b())\nGATE", "await parallel(a(), c())\nGATE", "`b`"),
    ("await a()\nGATE", "if this_run().id:\n    return\nawait a()\nGATE", "comes no more to `a`"),
    (
        "await a()\nGATE",
        "if False:\n    await a()\nelse:\n    await b()\nGATE",
        "comes no more to `a`",
    ),
    ("with section('s'):\n    await a()\nGATE", "with section('t'):\n    await a()\nGATE", "`s/a`"),
    ("GATE\nawait a()", "await approval('door', by=team('it'))\nawait a()", "`gate`"),
    ("GATE\nawait a()", "await a()", "`gate`"),
    (
        "await a()\nawait parallel(GATE_, timer('t', after=days(9)))",
        "await parallel(GATE_, timer('t', after=days(9)))",
        "`a`",
    ),
]


def written(body: str) -> str:
    """A body with its gate."""
    return body.replace("GATE_", GATE.removeprefix("await ")).replace("GATE", GATE)


@pytest.mark.parametrize(("before", "after"), UNCHANGED)
async def test_what_changes_no_key_changes_no_run(before, after):
    """Order, loops, branches and blocks may change: the run waits where it waited."""
    world = World()
    async with running(version(process_of(written(before)), world).request()) as run:
        effects = dict(world.effects)
        run.deploy(version(process_of(written(after)), world))
        assert (run.state, run.waiting()) == ("waiting", {"gate"})
        assert world.effects == effects
        await run.decide("gate", approved=True)
        assert run.state == "completed"
        assert set(world.effects.values()) == {1}


@pytest.mark.parametrize(("before", "after", "said"), BLOCKED)
async def test_what_a_run_has_behind_it_is_not_done_under_another_key(before, after, said):
    """Removed, renamed, given an item, in other sections, on another branch: it stops there."""
    world = World()
    async with running(version(process_of(written(before)), world).request()) as run:
        effects, waiting = dict(world.effects), run.waiting()
        run.deploy(version(process_of(written(after)), world))
        assert run.state == "parked", run.waits_for()
        assert run.row["parked_reason"] == "blocked"
        assert said in run.waits_for()
        assert world.effects == effects
        run.deploy(version(process_of(written(before)), world))
        assert (run.state, run.waiting()) == ("waiting", waiting)


FORMERLY = [
    ("await a()\nGATE", "await a['x']()\nGATE", {"a": '"a"'}),
    (
        "for x in 'pqr':\n    await a(x)\nGATE",
        "for x in 'pqr':\n    await a[x](x)\nGATE",
        {"a": '"a"'},
    ),
    (
        "for x in 'pqr':\n    await a('')\nGATE",
        "for x in 'pqr':\n    await b('')\nGATE",
        {"b": '"a"'},
    ),
    (
        "for x in 'pq':\n    await a[x](x)\nGATE",
        "for x in 'pq':\n    await b[x](x)\nGATE",
        {"b": '"a"'},
    ),
    ("with section('s'):\n    await a()\nGATE", "await a()\nGATE", {"a": '"s/a"'}),
    (
        "with section('s'):\n    await a()\nGATE",
        "with section('t', formerly='s'):\n    await a()\nGATE",
        {},
    ),
    (
        "with section('s'):\n    await a()\nGATE",
        "with section('o', formerly=''), section('t', formerly='s'):\n    await b()\nGATE",
        {"b": '("z", "a")'},
    ),
    ("await a()\nGATE", "await c()\nawait b()\nGATE", {"b": '"a"'}),
]


@pytest.mark.parametrize(("before", "after", "names"), FORMERLY)
async def test_an_act_is_known_by_the_key_it_had(before, after, names):
    """`formerly=` finds the act wherever it stood; what is new is done, and nothing twice."""
    world = World()
    code = process_of(written(after))
    for step, former in names.items():
        code = code.replace(
            f'@step(in_doubt="repeat")\nasync def {step}',
            f'@step(in_doubt="repeat", formerly={former})\nasync def {step}',
        )
    async with running(version(process_of(written(before)), world).request()) as run:
        done, effects = run.done(), sum(world.effects.values())
        run.deploy(version(code, world))
        assert (run.state, run.waiting()) == ("waiting", {"gate"}), run.waits_for()
        new = set(run.done()) - set(done)
        assert new == ({"c"} if "c()" in after else set())
        await run.decide("gate", approved=True)
        assert run.state == "completed"
        assert sum(world.effects.values()) == effects + len(new)


async def test_a_former_key_that_is_in_use_is_refused():
    """F307: a name in `formerly=` belongs to another act of the same code: no run meets it."""
    before = process_of(written("await a()\nGATE"))
    after = (
        process_of(written("await b()\nawait a()\nGATE"))
        .replace("async def b", "async def b", 1)
        .replace('@step(in_doubt="repeat")\nasync def b', '@step(formerly="a")\nasync def b')
    )
    async with running(version(before).request()) as run:
        with pytest.raises(Refused, match="F307"):
            run.deploy(version(after))
        assert run.waiting() == {"gate"}


async def test_retired_keys_may_be_patterns():
    """`*` in `retired=` stands for any item and any label."""
    before = written("for x in 'pq':\n    await a[x](x)\nwith section('s'):\n    await b()\nGATE")
    world = World()
    async with running(version(process_of(before), world).request()) as run:
        after = process_of(written("GATE"), options=', retired=["a[*]", "s/*"]')
        run.deploy(version(after, world))
        assert (run.state, run.waiting()) == ("waiting", {"gate"})
        await run.decide("gate", approved=True)
        assert run.state == "completed"


async def test_a_retired_wait_that_is_open_is_withdrawn():
    """Nobody is asked any more for what the code has given up."""
    async with running(version(process_of(written("await a()\nGATE"))).request()) as run:
        after = process_of(
            "await a()\nawait timer('later', after=days(1))", options=', retired=["gate"]'
        )
        run.deploy(version(after))
        assert run.waiting() == {"later"}
        assert [row["state"] for row in run._scene.rows("task")] == ["withdrawn"]
        assert run.clock.move_to_next()
        assert run.state == "completed"


async def test_a_blocked_run_can_be_cancelled():
    """Cancelling ends it, and what the new code does not know is closed, too."""
    async with running(version(process_of(written("await a()\nGATE"))).request()) as run:
        after = process_of("await a()\nawait approval('door', by=team('it'))")
        run.deploy(version(after))
        assert run.row["parked_reason"] == "blocked"
        await run.cancel()
        assert run.state == "cancelled"
        assert run.acts() == []
        assert {row["state"] for row in run._scene.rows("task")} == {"withdrawn"}


async def test_an_act_that_waits_behind_a_new_one_does_not_wake_the_run():
    """A timer whose place the body has not come to again rests until it has."""
    before = process_of("await timer('soon', after=days(1))\nawait a()")
    after = process_of(f"{GATE}\nawait timer('soon', after=days(1))\nawait a()")
    world = World()
    async with running(version(before, world).request()) as run:
        run.deploy(version(after, world))
        assert run.waiting() == {"gate", "soon"}
        assert not run.clock.move_to_next() or run.waiting() == {"gate", "soon"}
        await run.decide("gate", approved=True)
        run.clock.move_to_next()
        assert run.state == "completed"
        assert world.effects == {"a()": 1}


async def test_each_run_is_looked_at_once_by_a_new_version():
    """A run that a version has seen is not read again when another worker of it comes."""
    text = process_of(written("await a()\nGATE"))
    async with running(version(text).request()) as run:
        newer = text + "\nRATE = 1\n"
        run.deploy(version(newer))
        assert (run.row["version"], run.row["seen_version"]) == (1, 2)
        assert run.trace()[-1][0] == "task.opened", "nothing was written for it"
        await run.decide("gate", approved=True)
        assert run.state == "completed"
        assert run.row["version"] == 2


async def test_a_renamed_race_is_not_decided_again():
    """What the body decides on a way that it must not go leaves nothing in the journal."""
    before = process_of(
        "await first_of('race', quick=a(), slow=approval('slow', by=team('it')))\n" + GATE,
        helpers="from newel import first_of",
    )
    after = before.replace("'race'", "'chase'")
    world = World()
    async with running(version(before, world).request()) as run:
        assert run.waiting() == {"gate"}
        run.deploy(version(after, world))
        assert run.state == "parked"
        assert "no longer asks for `race`" in run.waits_for()
        assert "chase" not in {key for _, key in run.trace()}
        run.deploy(version(before, world))
        assert (run.state, run.waiting()) == ("waiting", {"gate"})
        await run.decide("gate", approved=True)
        assert run.state == "completed"
        assert world.effects == {"a()": 1}


WORDS = {
    "a form": "await form('asked', by=team('it'){})",
    "a race": "await first_of('asked', quick=a(), slow=form('slow', by=team('it')){})",
    "some of several": "await n_of('asked', 1, a(), form('slow', by=team('it')){})",
    "a group": "async with group('asked', str{}) as g:\n    g.add(a())\n    await g.join()",
    "a group that is full": "async with group('asked', str{}) as g:\n    await g.complete()",
    "a group that is called off": "async with group('asked', str{}) as g:\n    await g.cancel()",
    "a step for one of many": "await asked['x']()",
    "a lock": "async with LOCK['x']:\n    await a()",
    "a lock of all runs": "async with ALL:\n    await a()",
    "a milestone": "await STONE.reach()\nawait a()",
    "an answer": "await STONE.holds('answer'{})\nawait a()",
    "a region": "async with REGION:\n    await REGION.cancel()\nawait a()",
}
"""Lines with a word whose key is `asked`, and a place for `formerly=`."""

DECLARED = """
from newel import first_of, form, group, lock, milestone, n_of, scope
LOCK = lock('asked'{0})
ALL = lock('asked'{0}, shared=True)
STONE = milestone('asked'{0})
REGION = scope('asked'{0})
@step(in_doubt='repeat'{0})
async def asked() -> None: ...
"""


@pytest.mark.parametrize("word", WORDS)
async def test_every_word_with_a_key_is_known_by_the_one_it_had(word):
    """Renamed without `formerly=` it blocks; with what the sentence says the run goes on."""
    lines = f"{WORDS[word]}\n{GATE}"

    def code(former: str | None) -> str:
        text = process_of(lines.replace("{}", former or ""), helpers=DECLARED.format(former or ""))
        return text if former is None else text.replace("asked", "new").replace("answer", "said")

    world = World()
    async with running(version(code(None), world).request()) as run:
        if word == "a form":
            await run.fill("asked")
        assert "gate" in run.waiting()
        done, effects = set(run.done()), dict(world.effects)
        run.deploy(version(code(""), world))
        assert (run.state, run.row["parked_reason"]) == ("parked", "blocked"), run.waits_for()
        assert "The new code no longer asks for `a" in run.waits_for()
        [told] = re.findall('`formerly="([^"]+)"`', run.waits_for())
        old = "('answer', 'asked')" if word == "an answer" else repr(told)
        mended = code(", formerly=OLD").replace("OLD", old)
        run.deploy(version(mended, world))
        assert "gate" in run.waiting(), run.waits_for()
        await run.decide("gate", approved=True)
        assert run.state == "completed", run.waits_for()
        assert dict(world.effects) == effects
        assert {key for key in run.done() if "gate" not in key} == done
