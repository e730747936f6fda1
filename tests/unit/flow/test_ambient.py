"""`now()`, `new_id()`, `this_run()` and `log`: the same on every replay, in every interleaving."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from newel import log, new_id, now, parallel, process, section, step, this_run
from tests.unit.flow.driving import RUN, START, Driving


@step
async def work(number: int) -> int:
    """Work."""
    return number


Seen = dict[str, list[tuple[datetime, str, str]]]
Shape = list[Any]

# A body is a list of acts; an act is None, or a fork of bodies.
SHAPES = st.recursive(
    st.lists(st.none(), min_size=1, max_size=3),
    lambda inner: st.lists(
        st.one_of(st.none(), st.lists(inner, min_size=1, max_size=3)), min_size=1, max_size=3
    ),
    max_leaves=8,
)


def _body(shape: Shape, seen: Seen) -> Any:
    """Make a process of this shape that notes what it sees, branch by branch."""

    async def run(acts: Shape, path: str) -> None:
        for number, act in enumerate(acts):
            at = f"{path}.{number}"
            if act is None:
                await work[at](number)
            else:
                await parallel(*[run(each, f"{at}/{n}") for n, each in enumerate(act)])
            with section(f"s{number}"):
                seen[path].append((now(), str(new_id("thing")), this_run().id))
            log.info(at)

    @process(subject=None)
    async def body() -> None:
        await run(shape, "r")

    return body


def _driven(driving: Driving, order: Any) -> Driving:
    """Give outcomes in a drawn order until the body has ended."""
    while not driving.body.has_ended:
        key = order.draw(st.sampled_from(driving.resting))
        driving.give(key)
    return driving


def _said(driving: Driving) -> list[str]:
    return [event for _, event, _ in driving.body.driven.log_lines]


@settings(max_examples=40)
@given(shape=SHAPES, order=st.data())
def test_a_replay_sees_what_the_first_pass_saw(shape, order):
    """Every branch sees the same moments, ids and facts again, and says nothing."""
    first: Seen = defaultdict(list)
    live = _driven(Driving(_body(shape, first)).start(), order)
    again: Seen = defaultdict(list)
    replay = Driving.again(_body(shape, again), live)
    assert replay.body.has_ended
    assert again == first
    assert _said(replay) == []
    ids = [id_ for each in first.values() for _, id_, _ in each]
    assert len(set(ids)) == len(ids)
    for each in first.values():
        moments = [at for at, _, _ in each]
        assert moments == sorted(moments)
        assert moments[0] > START


@settings(max_examples=40)
@given(shape=SHAPES, order=st.data())
def test_no_interleaving_changes_an_id(shape, order):
    """Ids depend on run, branch, section, name and count, not on who was first."""
    ids: list[dict[str, list[str]]] = []
    for _ in range(2):
        seen: Seen = defaultdict(list)
        _driven(Driving(_body(shape, seen)).start(), order)
        ids.append({path: [id_ for _, id_, _ in each] for path, each in seen.items()})
    assert ids[0] == ids[1]


@settings(max_examples=40)
@given(shape=SHAPES, order=st.data(), cut=st.integers(0, 20))
def test_a_crash_anywhere_says_each_line_once(shape, order, cut):
    """What was said before the crash is not said again, what came after it is."""
    seen: Seen = defaultdict(list)
    first = Driving(_body(shape, seen)).start()
    for _ in range(cut):
        if first.body.has_ended:
            break
        first.give(order.draw(st.sampled_from(first.resting)))
    before = _said(first)
    seen.clear()
    second = _driven(Driving.again(_body(shape, seen), first), order)
    whole = before + _said(second)
    assert len(whole) == len(set(whole))
    assert len(whole) == sum(len(each) for each in seen.values())


def test_facts_of_the_run_are_the_recorded_ones():
    """The run's reference and start come from the journal, not from whoever drives it."""
    seen: Seen = defaultdict(list)
    driving = Driving(_body([None], seen)).start()
    driving.give("work[r.0]")
    assert {id_ for _, _, id_ in seen["r"]} == {"run_x"}
    assert driving.body.driven.run == RUN
