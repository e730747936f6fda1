import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

from newel.base.codec import OUTCOME_LIMIT, codec_of, json_schema
from newel.base.errors import InvalidInput, NotJournalable, OutcomeUnreadable

BERLIN = ZoneInfo("Europe/Berlin")


class Job(StrEnum):
    """What somebody does."""

    ENGINEER = "engineer"
    SALES = "sales"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody, and the person above them."""

    name: str
    manager: "Person | None" = None


@dataclass(frozen=True, kw_only=True)
class NewHire(Person):
    """A person with more fields."""

    job: Job
    starts_at: datetime
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photo:
    """Bytes and a pair."""

    content: bytes
    size: tuple[int, int]


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: float


class Model(BaseModel):
    """A model of pydantic."""

    name: str
    at: date


@dataclass(frozen=True)
class Everything:
    """One field of each kind."""

    text: str
    whole: int
    flag: bool
    part: float
    exact: Decimal
    moment: datetime
    day: date
    hour: time
    length: timedelta
    name: UUID
    content: bytes
    job: Job
    choice: Literal["a", "b", 3]
    many: tuple[Photo, ...]
    pair: tuple[int, str]
    some: list[int]
    by_name: dict[str, tuple[int, ...]]
    either: int | str | None
    point: Point
    model: Model
    person: Person | None


def _finite_floats():
    return st.floats(allow_nan=False, allow_infinity=False)


def _texts():
    return st.text(st.characters(codec="utf-8"))


photos = st.builds(Photo, st.binary(), st.tuples(st.integers(), st.integers()))
everything = st.builds(
    Everything,
    text=_texts(),
    whole=st.integers(-(10**40), 10**40),
    flag=st.booleans(),
    part=_finite_floats(),
    exact=st.decimals(allow_nan=False, allow_infinity=False),
    moment=st.datetimes(
        timezones=st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Kathmandu")]),
        min_value=datetime(1920, 1, 2),  # noqa: DTZ001  # hypothesis asks for bounds without zone
        max_value=datetime(2200, 1, 1),  # noqa: DTZ001  # as above
    ),
    day=st.dates(),
    hour=st.times(),
    length=st.timedeltas(),
    name=st.uuids(),
    content=st.binary(),
    job=st.sampled_from(Job),
    choice=st.sampled_from(["a", "b", 3]),
    many=st.lists(photos, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), _texts()),
    some=st.lists(st.integers(), max_size=3),
    by_name=st.dictionaries(_texts(), st.lists(st.integers(), max_size=2).map(tuple), max_size=3),
    either=st.one_of(st.integers(), _texts(), st.none()),
    point=st.builds(Point, st.integers(), _finite_floats()),
    model=st.builds(Model, name=_texts(), at=st.dates()),
    person=st.one_of(
        st.none(), st.builds(Person, name=_texts(), manager=st.builds(Person, name=_texts()))
    ),
)


@given(everything)
def test_every_value_comes_back_equal_and_of_its_type(value):
    """Loading what was dumped gives an equal value, with the annotated types in every place."""
    data, loaded = codec_of(Everything).round_trip(value)
    assert loaded == value or value.moment.astimezone(UTC) == loaded.moment
    assert codec_of(Everything).load(data) == loaded
    assert [type(part) for part in vars(loaded).values()] == [
        type(part) for part in vars(value).values()
    ]
    assert [type(photo) for photo in loaded.many] == [Photo] * len(value.many)


@given(st.one_of(_texts(), st.booleans(), st.integers(-(10**30), 10**30), st.none()))
def test_quick_and_careful_codecs_write_the_same(value):
    """Text, flags, numbers and nothing are written and read as they are inside a record."""
    data, loaded = codec_of(type(value)).round_trip(value)
    assert (loaded, type(loaded)) == (value, type(value))
    assert json.loads(data) == value
    assert codec_of(type(value)).load(data) == value
    careful = codec_of(Annotated[type(value), "not quick"])
    assert careful.round_trip(value) == (data, value)


def test_nothing_is_null_by_either_name():
    """`None` and its type have one form."""
    assert codec_of(None).round_trip(None) == (b"null", None)
    assert codec_of(type(None)).load(b"null") is None


def test_an_hour_that_exists_twice_survives():
    """A moment in the repeated hour of a clock change comes back as the same moment."""
    twice = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)
    data, loaded = codec_of(datetime).round_trip(twice)
    assert data == b'"2026-10-25T02:30:00+01:00"'
    assert loaded == twice.astimezone(UTC)


def test_a_codec_is_made_once():
    """The same annotation has the same codec."""
    assert codec_of(tuple[Person, ...]) is codec_of(tuple[Person, ...])


def test_metadata_need_not_be_hashable():
    """An annotation that cannot be remembered has a codec all the same."""
    assert codec_of(Annotated[str, ["a", "list"]]).round_trip("x") == (b'"x"', "x")


def test_a_codec_knows_its_name():
    """The name is the type as it is written in source."""
    assert codec_of(tuple[Person, ...]).name == "tuple[Person, ...]"


@pytest.mark.parametrize(
    ("annotation", "admits"),
    [(None, True), (str | None, True), (str, False), (int | str, False), (Person, False)],
)
def test_a_codec_knows_whether_nothing_is_a_value(annotation, admits):
    """`None` is admitted where the annotation names it."""
    assert codec_of(annotation).admits_none is admits


def test_new_fields_take_their_default_and_gone_fields_are_ignored():
    """An outcome of older code is read by newer code."""
    assert codec_of(Person).load(b'{"name":"Jane","nickname":"J"}') == Person(name="Jane")


def test_bytes_travel_as_base64():
    """Bytes below a record are written as base64 and come back as bytes."""
    photo = Photo(b"\xff\x00", (1, 2))
    assert codec_of(Photo).round_trip(photo) == (b'{"content":"_wA=","size":[1,2]}', photo)


WRONG: Any = 3
WRONG_PAIR: Any = [1, 2]
HIRE = NewHire(name="Jane", job=Job.SALES, starts_at=datetime(2026, 1, 5, 9, tzinfo=BERLIN))


@pytest.mark.parametrize(
    ("annotation", "value", "why"),
    [
        (str, 3, "it is `int` and not `str`"),
        (str, b"x", "it is `bytes` and not `str`"),
        (bool, 1, "it is `int` and not `bool`"),
        (None, 0, "it is `int` and not `none`"),
        (int, "3", "it is `str` and not `int`"),
        (Person, Person(name=WRONG), "`name` is `int` and not `str`"),
        (Person, HIRE, "the value does not come back as it was"),
        (Photo, Photo(b"", WRONG_PAIR), "`size` is `list` and not `tuple[int, int]`"),
        (tuple[int, ...], [1], "it is `list` and not `tuple[int, ...]`"),
        (float, math.nan, ": input should be a valid number"),
        (float, math.inf, ": input should be a valid number"),
        (Decimal, Decimal("NaN"), ": input should be a finite number"),
        (str, "\ud800", "it holds text that is no Unicode"),
        (Decimal | str, "5", "the value does not come back as it was"),
        (dict[str, Decimal | str], {"a": "5"}, "the value.a does not come back as it was"),
    ],
)
def test_what_does_not_survive_is_refused(annotation, value, why):
    """A value that would come back another is refused, with place and types and never the value."""
    with pytest.raises(NotJournalable) as refused:
        codec_of(annotation).round_trip(value)
    assert str(refused.value) == (
        f"F702: A value of `{codec_of(annotation).name}` cannot be kept in the journal: {why}. "
        "Fix: return exactly what is annotated."
    )


@pytest.mark.parametrize(
    ("annotation", "value", "at"),
    [
        (datetime, datetime(2026, 1, 5, 9), ""),  # noqa: DTZ001  # the mistake under test
        (
            tuple[NewHire, ...],
            (NewHire(name="J", job=Job.SALES, starts_at=datetime(2026, 1, 5)),),  # noqa: DTZ001
            " (0.starts_at)",
        ),
    ],
)
def test_a_naive_moment_is_refused(annotation, value, at):
    """A datetime without a zone names no moment; the message says where it is."""
    with pytest.raises(NotJournalable) as refused:
        codec_of(annotation).dump(value)
    assert str(refused.value).startswith(
        f"F702: A `datetime` without a time zone{at} cannot be kept in the journal"
    )


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Europe/Amsterdam", "Africa/Monrovia"])
def test_a_moment_of_a_zone_that_counted_seconds_is_refused(zone):
    """RFC 3339 has no seconds in an offset; what the message says to write instead is kept."""
    moment = datetime(1919, 1, 1, tzinfo=ZoneInfo(zone))
    with pytest.raises(NotJournalable) as refused:
        codec_of(tuple[datetime, ...]).dump((moment,))
    assert str(refused.value) == (
        "F702: A `datetime` whose zone then differed from UTC by seconds (0) cannot be kept in "
        "the journal: RFC 3339 writes whole minutes. "
        "Fix: the same moment in UTC, `….astimezone(UTC)`."
    )
    assert codec_of(datetime).round_trip(moment.astimezone(UTC))[1] == moment


def test_equal_parts_are_enough():
    """A record that Python never calls equal survives if all its parts do."""

    @dataclass(frozen=True, eq=False)
    class Odd:
        name: str

    _, loaded = codec_of(Odd).round_trip(Odd("x"))
    assert (type(loaded), loaded.name) == (Odd, "x")


def test_a_part_that_is_added_by_reading_is_found():
    """A list or dictionary that grows on the way is refused."""
    grows = Annotated[dict[str, int], AfterValidator(lambda value: {**value, "more": 1})]
    with pytest.raises(NotJournalable, match="the value does not come back"):
        codec_of(grows).round_trip({"a": 1})


@pytest.mark.parametrize("annotation", [str, tuple[str, ...]])
def test_an_outcome_has_a_size_limit(annotation):
    """A value over the limit is refused with its size, the limit and the way out."""
    value = "x" * OUTCOME_LIMIT if annotation is str else ("x" * OUTCOME_LIMIT,)
    with pytest.raises(NotJournalable, match=f"the journal keeps at most {OUTCOME_LIMIT} of one"):
        codec_of(annotation).round_trip(value)
    assert codec_of(annotation).round_trip(value, limit=OUTCOME_LIMIT * 2)[1] == value


@pytest.mark.parametrize(
    ("annotation", "data", "said"),
    [
        (int, b'"3"', "text, the code now expects int"),
        (int, b"3.5", "a number, the code now expects int"),
        (str, b"3", "a number, the code now expects str"),
        (bool, b"1", "a number, the code now expects bool"),
        (None, b"true", "yes or no, the code now expects None"),
        (Person, b"[]", "a list, the code now expects Person"),
        (Person, b"null", "nothing, the code now expects Person"),
        (Person, b"{}", "a record (name: is missing), the code now expects Person"),
        (Person, b"{", "no JSON, the code now expects Person"),
        (str, b"x", "no JSON, the code now expects str"),
    ],
)
def test_an_outcome_of_another_type_is_unreadable(annotation, data, said):
    """The message names the key, what is recorded and what the code expects, in words."""
    with pytest.raises(OutcomeUnreadable) as unreadable:
        codec_of(annotation).load(data, key="payroll.enrol")
    assert str(unreadable.value) == f"The recorded result of `payroll.enrol` is {said}."


def test_values_from_outside_are_taken_strictly():
    """`accept` reads JSON of the right types."""
    accepted = codec_of(NewHire).accept(
        '{"name":"Zoë O\'Neill 🎉","job":"sales","starts_at":"2026-01-05T09:00:00+01:00"}'
    )
    assert accepted == NewHire(
        name="Zoë O'Neill 🎉", job=Job.SALES, starts_at=datetime(2026, 1, 5, 8, tzinfo=UTC)
    )


@dataclass(frozen=True)
class Period:
    """A record that checks itself."""

    start: date
    end: date

    def __post_init__(self):
        """Refuse an end before the start."""
        if self.end < self.start:
            message = "the end is before the start"
            raise ValueError(message)
        if self.end == self.start:
            message = "end: is the start"
            raise ValueError(message)


@pytest.mark.parametrize(
    ("annotation", "data", "fields"),
    [
        (
            NewHire,
            b'{"job":"cook","starts_at":"2026-01-05T09:00:00","shoe_size":42}',
            {
                "name": "is missing",
                "job": "input should be 'engineer' or 'sales'",
                "shoe_size": "is not known",
            },
        ),
        (
            NewHire,
            b'{"name":"a\\u0000b","job":"sales","starts_at":"2026-01-05T09:00:00"}',
            {
                "name": "holds the character U+0000, which cannot be stored",
                "starts_at": "needs a time zone",
            },
        ),
        (Person, b'{"name":"J","manager":{}}', {"manager.name": "is missing"}),
        (Person, b"[]", {"": "input should be an object"}),
        (Model, b'{"name":"x","at":"2026-01-05","z":1}', {"z": "is not known"}),
        (
            Period,
            b'{"start":"2026-01-05","end":"2026-01-04"}',
            {"": "the end is before the start"},
        ),
        (Period, b'{"start":"2026-01-05","end":"2026-01-05"}', {"end": "is the start"}),
        (
            tuple[Period, ...],
            b'[{"start":"2026-01-05","end":"2026-01-05"}]',
            {"0.end": "is the start"},
        ),
        (Point, b'{"x":"1","y":2}', {"x": "input should be a valid integer"}),
        (
            tuple[Model, ...],
            b'[{"name":"\\u0000","at":"2026-01-05"}]',
            {"0.name": "holds the character U+0000, which cannot be stored"},
        ),
        (
            dict[str, str],
            b'{"a":"\\u0000"}',
            {"a": "holds the character U+0000, which cannot be stored"},
        ),
    ],
)
def test_bad_input_is_refused_by_field(annotation, data, fields):
    """Each field that is wrong is named with the reason; values are not repeated."""
    with pytest.raises(InvalidInput) as refused:
        codec_of(annotation).accept(data)
    assert refused.value.fields == fields


def test_malformed_json_is_refused():
    """What is no JSON is refused as a whole."""
    with pytest.raises(InvalidInput) as refused:
        codec_of(Person).accept(b'{"name":')
    assert list(refused.value.fields) == [""]
    assert refused.value.fields[""].startswith("invalid JSON")


def test_a_form_gives_text():
    """Text fields of a form become the annotated types, or errors by field."""
    codec = codec_of(NewHire)
    given_text = {"name": "Jane", "job": "sales", "starts_at": "2026-01-05T09:00:00+01:00"}
    assert codec.accept_strings(given_text) == HIRE
    with pytest.raises(InvalidInput) as refused:
        codec.accept_strings({**given_text, "job": "cook", "more": "x"})
    assert refused.value.fields == {
        "job": "input should be 'engineer' or 'sales'",
        "more": "is not known",
    }


def test_the_json_of_a_type_is_described():
    """The JSON Schema names fields, types and what is required."""
    schema = json_schema(Person)
    assert schema["$defs"]["Person"]["required"] == ["name"]
    assert json_schema(int) == {"type": "integer"}


def test_an_annotation_is_checked_when_its_codec_is_made():
    """An unsuitable annotation is refused with the place it stands at."""
    with pytest.raises(NotJournalable, match=r"^F702: `set\[str\]` \(access\)"):
        codec_of(set[str], place="access")
    with pytest.raises(NotJournalable, match=r"^F702: `list\[set\[str\]\]`|^F702: `set\[str\]`"):
        codec_of(Annotated[list[set[str]], []], place="access")


def test_what_the_adapter_cannot_build_is_refused():
    """A type that says enough and still contradicts itself is refused when its codec is made."""
    contradiction = Annotated[Model | Person, Field(discriminator="kind")]
    with pytest.raises(NotJournalable, match=r"^F702: `Annotated.*cannot be kept in the journal"):
        codec_of(contradiction)
