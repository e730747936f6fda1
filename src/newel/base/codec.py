"""Typed values to JSON and back, exactly: what the process sees has been through the journal.

A `Codec` belongs to one annotation. `round_trip` dumps a value, loads it again and refuses it if
the two are not equal, so a type that does not survive shows on the first day and not after a
restart. Loading is strict: text is not taken for a number, a list becomes the tuple that was
annotated, bytes travel as base64, decimals as text. Fields that are new take their defaults,
fields that are gone are ignored, because old outcomes are read by new code.

Messages name places and types, never values: values may be personal.
Source: our own authoring document §3 "Values"; JSON by pydantic, https://docs.pydantic.dev.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    overload,
)

import orjson
from typing_extensions import TypeAliasType

from newel.base.annotations import check_annotation, described
from newel.base.errors import InvalidInput, NotJournalable, OutcomeUnreadable
from newel.base.later import Later

if TYPE_CHECKING:
    import pydantic
    import pydantic_core
else:
    pydantic = Later("pydantic")
    pydantic_core = Later("pydantic_core")

__all__ = ["OUTCOME_LIMIT", "Codec", "codec_of", "json_schema"]

T = TypeVar("T")

_alias: Any = TypeAliasType  # Any: checkers know aliases only as statements

OUTCOME_LIMIT: Final = 256 * 1024
"""Bytes that one outcome may hold; more is stored elsewhere and referred to."""

_CONFIG: Final[pydantic.ConfigDict] = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_timedelta": "iso8601",
    "allow_inf_nan": False,
}
_UNEXPECTED: Final = re.compile(
    r"Expected `(?P<expected>[^`]+)`"
    r"(?:.*?field_name='(?P<field>[^']*)')?(?:.*?input_type=(?P<found>\w+))?"
)
_NAMED: Final = re.compile(r"(?P<field>[a-z_][a-z0-9_]*): (?P<why>.+)", re.DOTALL)
_PLAIN_WORDS: Final = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "missing_keyword_only_argument": "is missing",
    "unexpected_keyword_argument": "is not known",
    "extra_forbidden": "is not known",
    "no_such_attribute": "is not known",
}


class Codec(Generic[T]):
    """Reads and writes the values of one annotation."""

    __slots__ = ("_adapter", "_holds_moments", "annotation", "name")

    def __init__(self, annotation: object, *, place: str = "", later: bool = False) -> None:
        """Check the annotation and prepare for it; errors: NotJournalable (F701, F702).

        later: do so at first use; for annotations of our own, which are known to be right.
        """
        self.annotation = annotation
        self.name = described(annotation)
        if not later:
            check_annotation(annotation, place=place)
            self._prepare()

    def __getattr__(self, name: str) -> Any:  # Any: one of the two slots below
        if name not in {"_adapter", "_holds_moments"}:
            raise AttributeError(name)
        self._prepare()
        return object.__getattribute__(self, name)

    def _prepare(self) -> None:
        # The alias lets the settings of the outermost type reach a dataclass below it.
        alias: Any = _alias("Value", self.annotation)  # Any: made at run time
        try:
            self._adapter: pydantic.TypeAdapter[T] = pydantic.TypeAdapter(alias, config=_CONFIG)
        except pydantic.PydanticUserError as cause:
            raise NotJournalable(
                f"`{self.name}` cannot be kept in the journal: {cause.message}",
                fix="a frozen dataclass of values.",
                code="F702",
            ) from cause
        self._holds_moments = "datetime" in _kinds(self._adapter.core_schema)

    @property
    def admits_none(self) -> bool:
        """Whether None is one of the values of this annotation."""
        members = (
            get_args(self.annotation)
            if get_origin(self.annotation) in {Union, UnionType}
            else (self.annotation,)
        )
        return None in members or type(None) in members

    def dump(self, value: T) -> bytes:
        """Write a value as JSON; errors: NotJournalable, naming the place and never the value."""
        try:
            data = self._adapter.dump_json(value, warnings="error")
        except pydantic_core.PydanticSerializationError as cause:
            # Its text quotes values, so it is not chained.
            raise self._unsuitable(_said(str(cause))) from None
        if self._holds_moments:
            self._refuse_unwritable(value)
        return data

    def load(self, data: bytes, *, key: str = "") -> T:
        """Read a recorded value; errors: OutcomeUnreadable, naming the key."""
        try:
            return self._adapter.validate_json(data, strict=True)
        except pydantic.ValidationError as cause:
            first = cause.errors(include_input=False, include_url=False, include_context=False)[0]
            at = _dotted(first["loc"])
            raise OutcomeUnreadable(
                key=key,
                found=f"{_kind_of(data)}" + (f" ({at}: {_in_words(first)})" if at else ""),
                expected=self.name,
            ) from None

    def round_trip(self, value: T, *, limit: int = OUTCOME_LIMIT) -> tuple[bytes, T]:
        """Dump and load a value and give both; refuse one that does not come back equal.

        limit: bytes. errors: NotJournalable.
        """
        data = self.dump(value)
        if len(data) > limit:
            raise _too_large(self.name, len(data), limit)
        try:
            loaded = self._adapter.validate_json(data, strict=True)
        except pydantic.ValidationError as cause:
            first = cause.errors(include_input=False, include_url=False, include_context=False)[0]
            raise self._unsuitable(f"{_dotted(first['loc'])}: {_in_words(first)}") from None
        if loaded != value and (at := _difference(value, loaded, "the value")) is not None:
            raise self._unsuitable(f"{at} does not come back as it was")
        return data, loaded

    def accept(self, data: bytes | str) -> T:
        """Read JSON that comes from outside; errors: InvalidInput with what is wrong by field.

        Unlike `load` it refuses fields that are not known, and text that cannot be stored.
        """
        try:
            value = self._adapter.validate_json(data, strict=True, extra="forbid")
        except pydantic.ValidationError as cause:
            raise InvalidInput(_by_field(cause)) from None
        return self._storable(value)

    def accept_strings(self, fields: Mapping[str, Any]) -> T:  # Any: nested mappings of text
        """Read the text fields of a form; errors as `accept`."""
        try:
            value = self._adapter.validate_strings(fields, extra="forbid")
        except pydantic.ValidationError as cause:
            raise InvalidInput(_by_field(cause)) from None
        return self._storable(value)

    def json_schema(self) -> dict[str, Any]:  # Any: JSON
        """Describe the JSON of this annotation (JSON Schema, draft 2020-12)."""
        return self._adapter.json_schema(mode="validation")

    def _storable(self, value: T) -> T:
        problems = dict(_problems(value, ""))
        if problems:
            raise InvalidInput(problems)
        return value

    def _refuse_unwritable(self, value: object) -> None:
        """Refuse moments that RFC 3339 cannot write: no zone, or an offset that is no minutes."""
        for at, leaf in _leaves(value, ""):
            if not isinstance(leaf, datetime):
                continue
            place = f" ({at})" if at else ""
            offset = leaf.utcoffset()
            if offset is None:
                raise NotJournalable(
                    f"A `datetime` without a time zone{place} cannot be kept "
                    "in the journal: it names no moment.",
                    fix="an aware one, `datetime(…, tzinfo=ZoneInfo(…))` or `now()`.",
                    code="F702",
                )
            if offset % timedelta(minutes=1):
                raise NotJournalable(
                    f"A `datetime` whose zone then differed from UTC by seconds{place} cannot be "
                    "kept in the journal: RFC 3339 writes whole minutes.",
                    fix="the same moment in UTC, `….astimezone(UTC)`.",
                    code="F702",
                )

    def _unsuitable(self, why: str) -> NotJournalable:
        return NotJournalable(
            f"A value of `{self.name}` cannot be kept in the journal: {why}.",
            fix="return exactly what is annotated.",
            code="F702",
        )


class _Scalar(Codec[T]):
    """Nothing, text, flags and whole numbers: immutable, so what was dumped need not be loaded."""

    __slots__ = ()
    kind: type

    def dump(self, value: T) -> bytes:
        if type(value) is not self.kind:
            return super().dump(value)
        try:
            return orjson.dumps(value)
        except TypeError:  # a number beyond 64 bits, or half a surrogate pair
            return super().dump(value)

    def load(self, data: bytes, *, key: str = "") -> T:
        try:
            value: T = orjson.loads(data)
        except orjson.JSONDecodeError:
            return super().load(data, key=key)
        # A number beyond 64 bits arrives here as a float, which the careful way reads again.
        return value if type(value) is self.kind else super().load(data, key=key)

    def round_trip(self, value: T, *, limit: int = OUTCOME_LIMIT) -> tuple[bytes, T]:
        if type(value) is not self.kind:
            return super().round_trip(value, limit=limit)
        data = self.dump(value)
        if len(data) > limit:
            raise _too_large(self.name, len(data), limit)
        return data, value


class _Nothing(_Scalar[None]):
    __slots__ = ()
    kind = type(None)


class _Text(_Scalar[str]):
    __slots__ = ()
    kind = str


class _Flag(_Scalar[bool]):
    __slots__ = ()
    kind = bool


class _Number(_Scalar[int]):
    __slots__ = ()
    kind = int


_QUICK: Final[dict[object, type[Codec[Any]]]] = {  # Any: one codec per type
    None: _Nothing,
    type(None): _Nothing,
    str: _Text,
    bool: _Flag,
    int: _Number,
}


@overload
def codec_of(annotation: type[T], *, place: str = "") -> Codec[T]: ...
@overload
def codec_of(annotation: object, *, place: str = "") -> Codec[Any]: ...
def codec_of(annotation: object, *, place: str = "") -> Codec[Any]:
    """Give the codec of an annotation, the same one each time.

    place: what is annotated, for the message. errors: NotJournalable (F701, F702).
    """
    try:
        return _cached(annotation)
    except NotJournalable:
        return _made(annotation, place)
    except TypeError:  # metadata of Annotated need not be hashable
        return _made(annotation, place)


def json_schema(annotation: object) -> dict[str, Any]:  # Any: JSON
    """Describe the JSON of an annotation (JSON Schema, draft 2020-12)."""
    return codec_of(annotation).json_schema()


def _made(annotation: object, place: str = "") -> Codec[Any]:
    try:
        quick = _QUICK.get(annotation)
    except TypeError:
        quick = None
    return Codec(annotation, place=place) if quick is None else quick(annotation, later=True)


_cached = lru_cache(maxsize=None)(_made)


def _too_large(name: str, size: int, limit: int) -> NotJournalable:
    return NotJournalable(
        f"A value of `{name}` holds {size} bytes, the journal keeps at most {limit} of one.",
        fix="store it elsewhere and return where it lies.",
        code="F702",
    )


def _kinds(schema: object) -> set[str]:
    """Collect the kinds of values a core schema speaks of."""
    kinds: set[str] = set()
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, Mapping):
            if isinstance(part.get("type"), str):
                kinds.add(part["type"])
            todo.extend(part.values())
        elif isinstance(part, list | tuple):
            todo.extend(part)
    return kinds


def _said(text: str) -> str:
    """Take places and types out of the serializer's message and leave the values behind."""
    match = _UNEXPECTED.search(text)
    if match is None:
        return (
            "it holds text that is no Unicode" if "surrogates" in text else "it is of no JSON type"
        )
    field = f"`{match['field']}` is" if match["field"] else "it is"
    found = f"`{match['found']}`" if match["found"] else "something else"
    return f"{field} {found} and not `{match['expected']}`"


def _kind_of(data: bytes) -> str:
    """Say what a recorded value is, in words."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return "no JSON"
    words = {str: "text", bool: "yes or no", int: "a number", float: "a number", list: "a list"}
    return "nothing" if value is None else words.get(type(value), "a record")


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _in_words(error: Mapping[str, Any]) -> str:  # Any: the details of pydantic
    """Say one error in plain words; a company's own check speaks for itself."""
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    text = _PLAIN_WORDS.get(error["type"]) or str(error["msg"])
    return text[:1].lower() + text[1:]


def _by_field(cause: pydantic.ValidationError) -> dict[str, str]:
    """Give the first problem of each field; a company's own check names its field: `end: why`."""
    fields: dict[str, str] = {}
    for error in cause.errors(include_input=False, include_url=False, include_context=False):
        at, said = error["loc"], _in_words(error)
        named = _NAMED.fullmatch(said) if error["type"] == "value_error" else None
        if named is not None:
            at, said = (*at, named["field"]), named["why"]
        fields.setdefault(_dotted(at), said)
    return fields


def _problems(value: object, at: str) -> Iterator[tuple[str, str]]:
    """Find what JSON allows and the journal or the database does not."""
    for place, leaf in _leaves(value, at):
        if isinstance(leaf, datetime) and leaf.tzinfo is None:
            yield place, "needs a time zone"
        elif isinstance(leaf, str) and "\0" in leaf:
            yield place, "holds the character U+0000, which cannot be stored"


def _leaves(value: object, at: str) -> Iterator[tuple[str, object]]:
    """Walk to everything that has no parts, with its place."""
    parts = _parts(value)
    if parts is None:
        yield at, value
        return
    for name, part in parts:
        yield from _leaves(part, f"{at}.{name}" if at else name)


def _parts(value: object) -> list[tuple[str, object]] | None:
    """Give the parts of a record or collection by name; None if it has none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, pydantic.BaseModel):
        return list(value)
    if isinstance(value, dict):
        return [(str(name), part) for name, part in value.items()]
    if isinstance(value, tuple | list):
        return [(str(place), part) for place, part in enumerate(cast("list[object]", value))]
    return None


def _difference(before: object, after: object, at: str) -> str | None:
    """Name the first place where two values differ; None if they only seem to.

    Moments are compared in UTC: between zones, Python calls an hour that exists twice unequal.
    """
    if isinstance(before, datetime) and isinstance(after, datetime):
        return None if before.astimezone(UTC) == after.astimezone(UTC) else at
    parts, others = _parts(before), _parts(after)
    if parts is None or others is None or type(before) is not type(after):
        return None if before == after else at
    if [name for name, _ in parts] != [name for name, _ in others]:
        return at
    for (name, part), (_, other) in zip(parts, others, strict=True):
        found = _difference(part, other, f"{at}.{name}")
        if found is not None:
            return found
    return None
