"""Processes: their input from outside and inside, and whom they are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from newel.base.errors import DefinitionError, InvalidInput, NotJournalable
from newel.domain.people import Person
from newel.flow.process import Process, process

JANE = {"name": "Jane", "email": "jane@example.com"}


def _jane() -> Person:
    return Person(name="Jane", email="jane@example.com")


@dataclass(frozen=True, kw_only=True)
class Hire:
    """What an onboarding starts from."""

    person: Person
    first_day: date
    role: str = "office"


@process(owner="hr")
async def onboarding(hire: Hire) -> str:
    """Bring somebody in. Then more."""
    return hire.person.name


@process(subject=None)
async def report(title: str, *, pages: int = 1) -> None:
    """Write it."""


class TestDefinition:
    """What a process is called, and what is refused where it is written."""

    def test_name_and_title_come_from_the_function(self):
        """The first sentence of the docstring is the title."""
        assert (onboarding.name, onboarding.title) == ("onboarding", "Bring somebody in")
        assert (onboarding.owner, onboarding.raises) == ("hr", ())

    def test_a_plain_function_could_not_wait(self):
        """F703: a process is an `async def`."""
        with pytest.raises(DefinitionError, match="F703"):

            @process  # type: ignore[arg-type]  # the mistake under test
            def wrong() -> None:
                """Wrong."""

    def test_a_parameter_without_annotation_is_refused(self):
        """F701 names it."""

        @process(subject=None)
        async def wrong(item) -> None:
            """Wrong."""

        with pytest.raises(NotJournalable, match="item"):
            _ = wrong.parameters

    def test_the_definition_is_known_by_its_source(self):
        """Two processes of one module share the digest of its source."""
        assert onboarding.definition_sha256 == report.definition_sha256
        assert len(onboarding.definition_sha256) == 64

    def test_the_schema_of_the_only_parameter_is_the_schema_of_the_input(self):
        """With more parameters it is an object of all."""
        assert "first_day" in str(onboarding.input_schema)
        assert report.input_schema["required"] == ["title"]
        assert set(report.input_schema["properties"]) == {"title", "pages"}


class TestSubject:
    """Whom a run is about."""

    def arguments(self, definition: Process[..., object], document: object) -> dict[str, object]:
        """What a document gives."""
        return definition.parsed(document)

    def test_the_only_person_of_the_input_is_the_subject(self):
        """Found in its fields, or the input itself."""
        arguments = onboarding.parsed({"person": JANE, "first_day": "2026-01-05"})
        assert onboarding.subject_of(arguments) == Person(name="Jane", email="jane@example.com")

        @process
        async def greet(person: Person) -> None:
            """Greet."""

        assert greet.subject_of(greet.parsed(JANE)) == _jane()

    def test_nobody_or_somebody_may_be_named(self):
        """`subject=None` and `subject=` a function."""

        @process(subject=lambda boss, hire: hire)
        async def handover(boss: Person, hire: Person) -> None:
            """Hand over."""

        arguments = handover.parsed({"boss": {**JANE, "email": "b@example.com"}, "hire": JANE})
        subject = handover.subject_of(arguments)
        assert subject is not None
        assert subject.email == "jane@example.com"
        assert report.subject_of({"title": "x"}) is None

    @pytest.mark.parametrize("people", [0, 2])
    def test_no_person_or_two_are_refused(self, people):
        """F705: newel does not guess."""

        @dataclass(frozen=True)
        class Pair:
            one: Person
            other: Person

        @process
        async def unclear(pair: Pair) -> None:
            """Unclear."""

        value: object = Pair(_jane(), _jane()) if people else "text"
        with pytest.raises(DefinitionError, match="F705"):
            unclear.subject_of({"pair": value})


class TestInput:
    """What callers send, checked by field."""

    @pytest.mark.parametrize(
        ("document", "fields"),
        [
            ({}, {"person", "first_day"}),
            ({"person": JANE}, {"first_day"}),
            ({"person": {"email": "j@x.test"}, "first_day": "2026-01-05"}, {"person.name"}),
            ({"person": JANE, "first_day": "tomorrow"}, {"first_day"}),
            ({"person": JANE, "first_day": "2026-01-05", "rôle": "x"}, {"rôle"}),
            ({"person": {**JANE, "age": 3}, "first_day": "2026-01-05"}, {"person.age"}),
            ({"person": JANE, "first_day": "2026-01-05", "role": 7}, {"role"}),
            ("text", {""}),
            ([], {""}),
            (None, {""}),
            ({"person": {**JANE, "name": "half \ud800"}, "first_day": "2026-01-05"}, {""}),
            ({"person": {**JANE, "name": 2**70}, "first_day": "2026-01-05"}, {""}),
        ],
    )
    def test_problems_are_told_by_field(self, document, fields):
        """Missing, unknown and wrong fields are named, all at once."""
        with pytest.raises(InvalidInput) as refused:
            onboarding.parsed(document)
        assert set(refused.value.fields) == fields

    @pytest.mark.parametrize(
        ("document", "fields"),
        [
            ({}, {"title"}),
            ({"title": "x", "pages": "many"}, {"pages"}),
            ({"title": 1, "pages": "many", "sent": True}, {"title", "pages", "sent"}),
            ([1], {""}),
        ],
    )
    def test_several_parameters_are_checked_together(self, document, fields):
        """Each argument is a field."""
        with pytest.raises(InvalidInput) as refused:
            report.parsed(document)
        assert set(refused.value.fields) == fields

    @pytest.mark.parametrize("name", ["O'Brien", "Zoë 🚀", "محمد", "李小龍", "a" * 10_000])
    def test_names_of_all_scripts_survive(self, name):
        """What was accepted is written and read back as it was."""
        arguments = onboarding.parsed({"person": {**JANE, "name": name}, "first_day": "2026-01-05"})
        assert onboarding.loaded(onboarding.dumped(arguments)) == arguments
        hire = arguments["hire"]
        assert isinstance(hire, Hire)
        assert hire.person.name == name

    def test_a_request_is_a_checked_call(self):
        """Arguments that do not fit are refused without running anything."""
        hire = Hire(person=_jane(), first_day=date(2026, 1, 5))
        assert onboarding.request(hire).args == (hire,)
        with pytest.raises(TypeError):
            onboarding.request()  # type: ignore[call-arg]  # the mistake under test
        with pytest.raises(TypeError):
            report.request("x", sheets=3)  # type: ignore[call-arg]  # the mistake under test
