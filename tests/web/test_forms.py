"""Forms from schemas, and documents from what was typed into them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Literal
from zoneinfo import ZoneInfo

import orjson
import pytest
from starlette.datastructures import FormData, UploadFile

from newel.base.codec import codec_of
from newel.base.errors import InvalidInput
from newel.domain.people import Person
from newel.web.console.forms import document_of, fields_of, filled, rest_of_errors

BERLIN = ZoneInfo("Europe/Berlin")


class Size(Enum):
    """A choice of two."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A record inside a record."""

    city: str
    floor: int | None = None


@dataclass(frozen=True, kw_only=True)
class Everything:
    """One field of each kind."""

    who: Person
    title: str
    size: Size
    colour: Literal["red", "green", "blue", "black", "white"]
    begins: datetime
    day: date
    count: int
    price: Decimal
    ratio: float = 0.5
    remote: bool = False
    tags: tuple[str, ...] = ()
    place: Place | None = None
    extra: dict[str, int] | None = None


CODEC = codec_of(Everything)
FIELDS = fields_of(CODEC.json_schema())
TYPED: list[tuple[str, str | UploadFile]] = [
    ("who.name", "Jane Doe"),
    ("who.email", "jane.doe@acme.example"),
    ("title", "  Engineer "),
    ("size", "large"),
    ("colour", "blue"),
    ("begins", "2026-03-10T09:00"),
    ("day", "2026-03-10"),
    ("count", "3"),
    ("price", "12.50"),
    ("ratio", "0.75"),
    ("remote", "on"),
    ("tags", "a"),
    ("tags", ""),
    ("tags", "b"),
    ("place.city", "Berlin"),
    ("place.floor", "4"),
    ("extra", '{"x": 1}'),
]


def by_name(fields, name):
    """The field at a place, at any depth."""
    for field in fields:
        if field.name == name:
            return field
        if found := by_name(field.fields, name):
            return found
    return None


def test_each_type_has_its_control():
    """Text, choices, dates, numbers, flags, lists, records; what is left is asked for as JSON."""
    assert {field.name: field.kind for field in FIELDS} == {
        "who": "group",
        "title": "text",
        "size": "radio",
        "colour": "select",
        "begins": "datetime",
        "day": "date",
        "count": "number",
        "price": "number",
        "ratio": "number",
        "remote": "checkbox",
        "tags": "list",
        "place": "group",
        "extra": "json",
    }


def test_a_person_is_asked_for_by_name_and_address():
    """References are newel's to give, and a person inside another form is two fields."""
    person = by_name(FIELDS, "who")
    assert [(field.label, field.kind) for field in person.fields] == [
        ("Name", "text"),
        ("Work e-mail", "email"),
    ]


def test_what_was_typed_becomes_the_value():
    """The document of a filled form is read as the very value it describes."""
    document = document_of(FIELDS, FormData(TYPED), BERLIN)
    assert CODEC.accept(orjson.dumps(document)) == Everything(
        who=Person(name="Jane Doe", email="jane.doe@acme.example"),
        title="Engineer",
        size=Size.LARGE,
        colour="blue",
        begins=datetime(2026, 3, 10, 9, tzinfo=BERLIN),
        day=date(2026, 3, 10),
        count=3,
        price=Decimal("12.50"),
        ratio=0.75,
        remote=True,
        tags=("a", "b"),
        place=Place(city="Berlin", floor=4),
        extra={"x": 1},
    )


def test_what_is_left_empty_is_left_out():
    """Optional groups, lists and flags of an empty form are absent, empty and off."""
    assert document_of(FIELDS, FormData([]), BERLIN) == {"remote": False, "tags": []}


@pytest.mark.parametrize(
    ("name", "typed"),
    [("count", "three"), ("ratio", "much"), ("begins", "tomorrow"), ("extra", "{")],
)
def test_what_cannot_be_read_is_told_at_its_field(name, typed):
    """A number that is none, a moment that is none, broken JSON: an error of that field."""
    with pytest.raises(InvalidInput) as caught:
        document_of(FIELDS, FormData([*TYPED, (name, typed)]), BERLIN)
    assert list(caught.value.fields) == [name]


def test_a_form_that_comes_back_keeps_what_was_typed():
    """Every value stands again in its field, with the error beside it."""
    errors = {"who.email": "is missing", "nowhere": "is odd", "tags.0": "is too long"}
    again = filled(FIELDS, FormData(TYPED), errors)
    assert by_name(again, "title").value == "  Engineer "
    assert by_name(again, "who.email").error == "is missing"
    assert by_name(again, "tags").values == ("a", "b", "")
    assert by_name(again, "tags").error == "is too long"
    assert rest_of_errors(again, errors) == {"nowhere": "is odd"}


def test_a_list_grows_by_asking():
    """Each request for more adds one empty row behind what was typed."""
    once = filled(FIELDS, FormData([("tags", "a"), ("tags", "b")]), more_of="tags")
    assert by_name(once, "tags").values == ("a", "b", "")


def test_defaults_stand_in_a_fresh_form():
    """A default of the type is the first value of its field."""
    assert by_name(filled(FIELDS), "ratio").value == "0.5"


def test_fields_know_whether_they_are_needed():
    """Required fields are marked, those with defaults and optional ones are not."""
    needed = {field.name for field in FIELDS if field.is_required}
    assert needed == {"who", "title", "size", "colour", "begins", "day", "count", "price"}
