"""`Connection`: what a transactional step may do with the company's own tables.

The step's rows and its outcome are one transaction, which belongs to newel: so the object can
ask and change, and has no way to commit, to roll back or to leave anything in the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["Connection", "Row"]

Row: TypeAlias = Mapping[str, Any]  # Any: each column has its own type
"""A row by column."""


class Connection(Protocol):
    """The company's database, inside the transaction that records the step's outcome.

    Statements hold one command each and take their values as `$1`, `$2` …; what the database
    refuses is raised as the driver's own error.
    """

    async def execute(self, statement: str, /, *values: object) -> None:
        """Run one statement; what it changed is told by `returning` and the other methods."""
        ...

    async def executemany(self, statement: str, rows: Iterable[Sequence[object]], /) -> None:
        """Run one statement once for each row of values."""
        ...

    async def fetch(self, statement: str, /, *values: object) -> list[Row]:
        """All rows of one statement."""
        ...

    async def fetchrow(self, statement: str, /, *values: object) -> Row | None:
        """The first row of one statement, or None."""
        ...

    async def fetchval(self, statement: str, /, *values: object) -> Any:  # Any: any column
        """The first column of the first row, or None."""
        ...
