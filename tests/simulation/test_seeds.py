"""Seeds of a company's bad minute: every invariant after every commit, every run to its end."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from newel.testing.simulation import Simulation, play
from newel.testing.simulation.__main__ import repeated

SEEDS = 2_000
PIECE = 125
WIDE = 125
KEPT = Path(__file__).with_name("seeds.txt")
"""Seeds that have found something, each with what it was; they are played for ever."""


@pytest.mark.parametrize("first", range(0, SEEDS, PIECE))
def test_every_seed_keeps_every_invariant(first: int):
    """Killed, frozen, cut off and cancelled: nothing is lost, doubled or stuck."""
    for seed in range(first, first + PIECE):
        _held(seed)
    gc.collect()  # a body that nobody let go of would speak up now


def test_wide_seeds_keep_every_invariant():
    """The same with child runs, groups, scopes, milestones and refusals."""
    for seed in range(WIDE):
        _held(seed, is_wide=True)


def test_seeds_that_found_something_once_find_nothing_now():
    """What a seed has found stays found."""
    for line in KEPT.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            seed, kind, *_ = line.split(" ")
            _held(int(seed), is_wide=kind == "wide")


def test_a_seed_plays_the_same_story_whichever_went_before():
    """Played in another order, each writes the same journal, byte for byte: nothing is left."""
    seeds = [3, 46, 148, 1561]
    told = {seed: play(seed).trace for seed in seeds}
    assert told == {seed: play(seed).trace for seed in reversed(seeds)}
    assert all(told.values())


def test_seeds_are_rough_enough():
    """Between them, few seeds already kill, freeze, lose and end runs in every way."""
    played = []
    for seed in range(120):
        simulation = Simulation(seed, is_wide=seed % 2 == 0)
        played.append((simulation, simulation.run()))
    assert sum(report.kills for _, report in played) > 20
    assert sum(report.freezes for _, report in played) > 5
    states = {
        row["state"]
        for simulation, _ in played
        for row in simulation.server.tables["run"].rows.values()
    }
    assert states == {"completed", "failed", "cancelled"}
    kinds = {
        row["type"]
        for simulation, _ in played
        for row in simulation.server.tables["event"].rows.values()
    }
    assert {"step.in_doubt", "run.taken_over", "step.parked", "act.recorded"} <= kinds


def _held(seed: int, *, is_wide: bool = False) -> None:
    report = play(seed, is_wide=is_wide)
    again = repeated(seed, is_wide=is_wide)
    assert report.broken == [], f"{report.told}\nplay it again: {again}"
