import io
from collections import namedtuple
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from inspect import Parameter
from typing import IO, Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from newel.base.annotations import check_annotation, described
from newel.base.errors import NotJournalable
from newel.base.secrets import Secret, SecretRef

Item = TypeVar("Item")


class Job(StrEnum):
    """What somebody does."""

    ENGINEER = "engineer"


class Rank(IntEnum):
    """A whole number with a name."""

    LOW = 1


class Shape(Enum):
    """An enumeration whose values JSON cannot hold."""

    POINT = (0, 0)


@dataclass(frozen=True)
class Person:
    """Somebody, and the person above them."""

    name: str
    manager: "Person | None" = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A record of something that is named later."""

    items: tuple[Item, ...]
    next: "Page[Item] | None" = None


@dataclass(frozen=True)
class Holder(Generic[Item]):
    """A record that passes its type on."""

    page: Page[Item]


@dataclass(frozen=True)
class Tagged:
    """A record with an unsuitable field."""

    tags: tuple[set[str], ...]


@dataclass(frozen=True)
class Vague:
    """A record whose annotation does not exist."""

    what: "NotThere"  # type: ignore[name-defined]  # noqa: F821  # the mistake under test


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


Bare = namedtuple("Bare", "x")  # noqa: PYI024  # the mistake under test


class Row(TypedDict, total=False):
    """A dictionary with annotations."""

    name: str


class Model(BaseModel):
    """A model of pydantic."""

    jobs: dict[str, Job]


Mail = NewType("Mail", str)
Names = TypeAliasType("Names", tuple[str, ...])


class Plain:
    """Neither a dataclass nor a model."""


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        type(None),
        *(str, int, bool, float, Decimal, datetime, date, time, timedelta, UUID, bytes),
        Job,
        Rank,
        Literal["a", 3],
        Person,
        Person | None,
        Page[Person],
        Holder[int],
        Point,
        Model,
        Mail,
        Names,
        Annotated[int, "a note"],
        list[int],
        tuple[int, str],
        tuple[()],
        dict[str, tuple[Person, ...]],
        dict[Job, int],
        dict[Mail, int],
        dict[Literal["a", "b"], int],
        dict[UUID, int],
        dict[Annotated[str, "a note"], int],
        int | str | None,
    ],
    ids=described,
)
def test_what_reads_back_is_accepted(annotation):
    """Annotations that say everything raise nothing."""
    check_annotation(annotation)


NO_ORDER = ("it has no order", "`tuple[str, ...]`")
UNKNOWN = ("what it is cannot be known when it is read back", "name the type")
SECRET = ("a secret is never kept", "read it where it is used")
FILE = (
    "an open file ends with its process",
    "its content as `bytes`, or where it lies as `str`",
)
CODE = ("code is not a value", "an `Enum` or `Literal` that names the choice")
OPEN = "what it is loaded as is left open"
TEXT_KEYS = ("the names in JSON are text", "`dict[str, …]`")
UNSAID = "what it holds is not said"
UNREADABLE = "newel cannot read it back"


@pytest.mark.parametrize(
    ("annotation", "named", "at", "why", "instead"),
    [
        (set[str], "set[str]", "x", *NO_ORDER),
        (frozenset[int], "frozenset[int]", "x", *NO_ORDER),
        (set, "set", "x", *NO_ORDER),
        (Any, "Any", "x", *UNKNOWN),
        (object, "object", "x", *UNKNOWN),
        (Secret, "Secret", "x", *SECRET),
        (SecretRef, "SecretRef", "x", *SECRET),
        (io.BytesIO, "BytesIO", "x", *FILE),
        (IO[str], "IO[str]", "x", *FILE),
        (Callable[[], int], "Callable[[], int]", "x", *CODE),
        (Awaitable[int], "Awaitable[int]", "x", *CODE),
        (Mapping[str, int], "Mapping[str, int]", "x", OPEN, "`dict[str, …]`"),
        (Sequence[int], "Sequence[int]", "x", OPEN, "`tuple[…, ...]`"),
        (Iterable[int], "Iterable[int]", "x", OPEN, "`tuple[…, ...]`"),
        (bytearray, "bytearray", "x", "it can be changed", "`bytes`"),
        (complex, "complex", "x", "JSON cannot tell it", "a dataclass of two `float`s"),
        (dict[int, str], "dict[int, str]", "x", *TEXT_KEYS),
        (dict[Literal[1], str], "dict[Literal[1], str]", "x", *TEXT_KEYS),
        (tuple, "tuple", "x", UNSAID, "`tuple[…]`"),
        (list, "list", "x", UNSAID, "`list[…]`"),
        (dict, "dict", "x", UNSAID, "`dict[str, …]`"),
        (Row, "Row", "x", UNREADABLE, "a frozen dataclass of values"),
        (Plain, "Plain", "x", UNREADABLE, "a frozen dataclass of values"),
        (type[int], "type[int]", "x", UNREADABLE, "a frozen dataclass of values"),
        (Item, "~Item", "x", UNREADABLE, "name a concrete type"),
        (Page, "~Item", "x.items[…]", UNREADABLE, "name a concrete type"),
        (Page[set[int]], "set[int]", "x.items[…]", *NO_ORDER),
        (Holder[Any], "Any", "x.page.items[…]", *UNKNOWN),
        (Tagged, "set[str]", "x.tags[…]", *NO_ORDER),
        (int | set[int], "set[int]", "x", *NO_ORDER),
        (
            Shape,
            "Shape",
            "x",
            "the value of `POINT` is neither text nor a whole number",
            "give its members text values",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_what_does_not_read_back_is_refused_with_its_replacement(
    annotation, named, at, why, instead
):
    """F702 names the type, its place, why not, and what to write instead."""
    with pytest.raises(NotJournalable) as refused:
        check_annotation(annotation, place="x")
    said = f"`{named}` ({at}) cannot be kept in the journal: {why}. Fix: {instead}."
    assert str(refused.value) == f"F702: {said}"


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (
            Parameter.empty,
            (
                "`account` has no annotation: newel must know the type to read it back. "
                "Fix: annotate every parameter and the result (`-> None` too)."
            ),
        ),
        (
            Bare,
            (
                "`account.x` has no annotation: newel must know the type to read it back. "
                "Fix: annotate every parameter and the result (`-> None` too)."
            ),
        ),
        (
            "Account",
            (
                "The annotation of `account` names `Account`, which is not there at run time. "
                "Fix: import `Account` plainly, not under `if TYPE_CHECKING`."
            ),
        ),
        (
            Vague,
            (
                "The annotation of `account (Vague)` names `NotThere`, which is not there at run "
                "time. Fix: import `NotThere` plainly, not under `if TYPE_CHECKING`."
            ),
        ),
    ],
    ids=["nothing", "namedtuple", "text", "field"],
)
def test_what_is_not_annotated_is_refused(annotation, said):
    """F701 says that an annotation is missing or cannot be resolved, and how to mend it."""
    with pytest.raises(NotJournalable) as refused:
        check_annotation(annotation, place="account")
    assert str(refused.value) == f"F701: {said}"


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (None, "None"),
        (Person, "Person"),
        (Page[Person], "Page[Person]"),
        (tuple[Person, ...], "tuple[Person, ...]"),
        (dict[str, Job], "dict[str, Job]"),
        (Person | None, "Person | None"),
    ],
)
def test_a_type_is_named_as_in_source(annotation, name):
    """Names have no modules in them."""
    assert described(annotation) == name
