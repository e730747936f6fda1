"""The one statement of `endpoints.sql` that every deployment asks; runs in memory tell nobody."""

from __future__ import annotations

from newel.testing.memory.named import statement
from newel.testing.memory.tables import Row
from newel.testing.memory.transaction import Transaction


@statement("endpoints.retire")
def retire(at: Transaction, declared: list[str]) -> list[Row]:
    """Ends the endpoints that are not declared any more; in memory there never was one."""
    del at, declared
    return []
