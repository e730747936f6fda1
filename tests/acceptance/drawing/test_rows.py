"""Which test holds which scenario of the drawing's acceptance list; `rows.txt` is the table.

A test that is renamed or lost is missed here; a scenario without one stands there with its reason.
Source: drawing document, §18.
"""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.rows import nowhere, table

TABLE = Path(__file__).parent / "rows.txt"


def test_every_scenario_has_its_test_or_a_reason():
    """The list of the design is covered one by one; nothing stands in both."""
    rows, left = table(TABLE)
    assert {f"S{number}" for number in range(1, 23)} == set(rows) | set(left)
    assert not set(rows) & set(left)
    assert all(len(reason) > 10 for reason in left.values())


def test_every_test_of_the_table_is_there():
    """Each scenario names tests that exist."""
    rows, _ = table(TABLE)
    assert nowhere(rows) == []
