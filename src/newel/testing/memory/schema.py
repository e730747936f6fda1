"""The tables as the migrations define them: columns, types, defaults, keys.

Read from the migrations' own text, so that a column added there is known here without a word:
only rules that are written in SQL (checks, unique indexes) have a twin in `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import orjson

from newel.store.migrate import migrations

__all__ = ["Column", "Defined", "defined", "reader", "typed"]

_TABLE: Final = re.compile(
    r"^create table (?:if not exists )?newel\.(?P<name>\w+) \(\n(?P<body>.*?)^\)",
    re.MULTILINE | re.DOTALL,
)
_ADDED: Final = re.compile(
    r"^alter table newel\.(?P<name>\w+)\s+add column (?P<column>[^;]+);", re.MULTILINE
)
_COMMENT: Final = re.compile(r"--[^\n]*")
_COLUMN: Final = re.compile(r"(?P<name>\w+)\s+(?P<type>\w+(?:\[\])?)(?P<rest>.*)", re.DOTALL)
_DEFAULT: Final = re.compile(r"\bdefault\s+(?P<value>'[^']*'(?:::\w+)?|interval '[^']*'|[\w.]+)")
_REFERENCE: Final = re.compile(r"\breferences newel\.(?P<table>\w+) \((?P<column>\w+)\)")
_KEY: Final = re.compile(r"primary key \((?P<columns>[^)]*)\)")
_NO_COLUMN: Final = re.compile(r"(constraint|primary key|unique|foreign key|check|exclude)\b")


_DRAWN: Final = frozenset({"gen_random_uuid", "clock_timestamp", "'{}'"})
_CONSTANTS: Final[dict[str, Any]] = {
    "'-infinity'": datetime.min.replace(tzinfo=UTC),
    "interval '0'": timedelta(0),
    "''::bytea": b"",
}


def _plain(text: str) -> str | int:
    return text.strip("'") if text.startswith("'") else int(text)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. default: text of the SQL, or None. references: the table it points into."""

    name: str
    type: str
    is_required: bool
    default: str | None
    is_identity: bool
    references: str | None

    @property
    def constant(self) -> Any:  # Any: a column's value
        """The default that is the same in every row and never changed in place; None if none is."""
        text = self.default
        if self.is_identity or text is None or text in _DRAWN:
            return None
        if text in {"true", "false"}:
            return text == "true"
        return _CONSTANTS[text] if text in _CONSTANTS else _plain(text)


@dataclass(frozen=True, slots=True)
class Defined:
    """One table: its columns by name and the names that its primary key is made of."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]


@cache
def defined() -> dict[str, Defined]:
    """Every table of the schema by name."""
    text = _COMMENT.sub("", "\n".join(each.text for each in migrations()))
    found = {match["name"]: _table(match["name"], match["body"]) for match in _TABLE.finditer(text)}
    for match in _ADDED.finditer(text):
        column = _column(match["column"])
        assert column is not None, f"{match[0]} adds a column"
        found[match["name"]].columns[column.name] = column
    return found


def _table(name: str, body: str) -> Defined:
    columns: dict[str, Column] = {}
    key: tuple[str, ...] = ()
    for part in _parts(body):
        column = None if _NO_COLUMN.match(part) else _column(part)
        if column is not None:
            columns[column.name] = column
            if "primary key" in part:
                key = (column.name,)
        elif (match := _KEY.match(part)) is not None:
            key = tuple(each.strip() for each in match["columns"].split(","))
    return Defined(name, columns, key)


def _column(part: str) -> Column | None:
    match = _COLUMN.match(part)
    if match is None:
        return None
    rest = match["rest"]
    default = _DEFAULT.search(rest)
    reference = _REFERENCE.search(rest)
    return Column(
        name=match["name"],
        type=match["type"],
        is_required="not null" in rest or "primary key" in rest,
        default=None if default is None else default["value"],
        is_identity="generated always as identity" in rest,
        references=None if reference is None else reference["table"],
    )


def _parts(body: str) -> Iterator[str]:
    """Split a table's body at the commas that stand in no bracket."""
    depth, start = 0, 0
    for place, letter in enumerate(body):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield body[start:place].strip()
            start = place + 1
    yield body[start:].strip()


# --- values ---------------------------------------------------------------------------------


def _moment(value: Any) -> Any:  # Any: as it came
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(UTC)


def _span(value: Any) -> Any:  # Any: as it came
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))


def _bytes(value: Any) -> Any:  # Any: as it came
    return bytes.fromhex(value.removeprefix("\\x")) if isinstance(value, str) else value


def _uuid(value: Any) -> Any:  # Any: as it came
    return value if isinstance(value, UUID) else UUID(str(value))


def _json(value: Any) -> Any:  # Any: JSON
    return orjson.loads(orjson.dumps(value, default=str))


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "uuid": _uuid,
    "timestamptz": _moment,
    "interval": _span,
    "bytea": _bytes,
    "jsonb": _json,
    "json": _json,
}


def reader(kind: str) -> Callable[[Any], Any] | None:  # Any: a column's value
    """How a value is brought into a column of a type; None: as it is."""
    if kind.endswith("[]"):
        return lambda value: typed(kind, value)
    return _READ.get(kind)


def typed(kind: str, value: Any) -> Any:  # Any: a column's value
    """Give a value as the column holds it, whether it came as a parameter or inside jsonb."""
    if value is None:
        return None
    if kind.endswith("[]"):
        return [typed(kind[:-2], each) for each in value]
    read = _READ.get(kind)
    return value if read is None else read(value)
