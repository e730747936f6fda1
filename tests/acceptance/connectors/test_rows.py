"""Which test holds which row of the acceptance list for connectors; `rows.txt` is the table.

A test that is renamed or lost is missed here; a row without one stands there with its reason.
Source: connectors document, §23.
"""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.rows import nowhere, table

TABLE = Path(__file__).parent / "rows.txt"


def test_every_row_has_its_test_or_a_reason():
    """The list of the design is covered row by row; nothing stands in both."""
    rows, left = table(TABLE)
    assert {f"C{number}" for number in range(1, 52)} == set(rows) | set(left)
    assert not set(rows) & set(left)
    assert all(len(reason) > 10 for reason in left.values())


def test_every_test_of_the_table_is_there():
    """Each row names tests that exist."""
    rows, _ = table(TABLE)
    assert nowhere(rows) == []
