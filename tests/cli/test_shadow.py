"""`newel shadow`: what a run would have asked of systems that are only looked at."""

from __future__ import annotations

from tests.cli.test_verbs import start


def test_a_run_without_shadow_has_nothing_to_tell(deployed, newel):
    """All systems are live: no step is listed, for people and for programs; no run, no list."""
    run = start(newel).document["run"]
    assert newel("shadow", run).out == "No step of it was in shadow.\n"
    assert newel("shadow", run, "--json").document == {"would": []}
    assert newel("shadow", "run_nothing").status == 1
