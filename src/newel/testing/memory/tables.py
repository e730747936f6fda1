"""Tables in memory: committed rows by primary key, found also by group and by unique value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final

from newel.testing.memory.schema import Column, Defined, reader

__all__ = ["GROUPED", "Key", "Row", "Table", "Unique"]

Row = dict[str, Any]
"""A row by column; never changed in place once it is committed."""

Key = Any
"""The value of the primary key: one value, or a tuple of them."""

Unique = Callable[[Row], Any]
"""What must be unique of a row; None where the index does not hold it."""

GROUPED: Final = {
    "event": "stream_id",
    "open_act": "run_id",
    "task": "run_id",
    "access_grant": "person",
    "person_key": "person",
}
"""By which column the rows of a table are also found."""


class Table:
    """The committed rows of one table."""

    def __init__(self, defined: Defined, unique: dict[str, Unique]) -> None:
        """Begin empty; unique: what must be unique, by the name of the index.

        blank: what a new row has of columns that it does not name, but for those in `drawn`: they
        have another value in each row. read: how a value is brought into a column.
        """
        self.name = defined.name
        self.defined = defined
        self.columns: dict[str, Column] = defined.columns
        self.unique = unique
        self.group = GROUPED.get(defined.name)
        self.rows: dict[Key, Row] = {}
        self.groups: dict[Any, dict[Key, Row]] = {}
        self.taken: dict[str, dict[Any, Key]] = {name: {} for name in unique}
        self.numbers = count(1)
        self.references = {
            name: column.references
            for name, column in defined.columns.items()
            if column.references is not None
        }
        self.required = tuple(
            name
            for name, column in defined.columns.items()
            if column.is_required or name in defined.key
        )
        self._key = defined.key
        self.blank: Row = {}
        self.drawn: dict[str, Column] = {}
        for name, column in defined.columns.items():
            self.blank[name] = constant = column.constant
            if constant is None and (column.is_identity or column.default is not None):
                self.drawn[name] = column
        self.read = {name: reader(column.type) for name, column in defined.columns.items()}

    def key_of(self, row: Row) -> Key:
        """The primary key of a row."""
        if len(self._key) == 1:
            return row[self._key[0]]
        return tuple(row[name] for name in self._key)

    def write(self, key: Key, row: Row | None) -> None:
        """Replace the committed row; None deletes it."""
        old = self.rows.get(key)
        if old is not None:
            self._forget(key, old)
        if row is None:
            self.rows.pop(key, None)
            return
        self.rows[key] = row
        if self.group is not None:
            self.groups.setdefault(row[self.group], {})[key] = row
        for name, unique in self.unique.items():
            value = unique(row)
            if value is not None:
                self.taken[name][value] = key

    def _forget(self, key: Key, old: Row) -> None:
        if self.group is not None:
            self.groups[old[self.group]].pop(key, None)
        for name, unique in self.unique.items():
            value = unique(old)
            if value is not None and self.taken[name].get(value) == key:
                del self.taken[name][value]

    def of(self, group: Any) -> Iterable[tuple[Key, Row]]:  # Any: a column's value
        """The rows of a group, with their keys."""
        return self.groups.get(group, {}).items()
