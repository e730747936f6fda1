"""What a failure says of a person is taken out of its message, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.domain.people import Person
from newel.engine.redacting import personal_words, redacted


@dataclass(frozen=True, kw_only=True)
class Hire(Person):
    """Somebody with more about them than newel knows."""

    private_email: str = "jane@home.example"
    team: str = "platform"


JANE = Hire(
    name="Jane O'Brien 🎉",
    email="jane.obrien@acme.example",
    hr_key="HR-77",
    manager=Person(name="Mary Major", email="mary@acme.example"),
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Jane O'Brien 🎉 exists", "<personal> exists"),
        ("JANE is taken, o'brien too", "<personal> is taken, <personal> too"),
        ("jane.obrien@acme.example (HR-77)", "<personal> (<personal>)"),
        ("GET /users/jane.obrien%40acme.example", "GET /users/<personal>"),
        ("Mary Major manages jane@home.example", "<personal> manages <personal>"),
        ("the team platform is not there", "the team platform is not there"),
        ("Janet cannot, Majorca can", "Janet cannot, Majorca can"),
        ("octo-jane is no member", "<personal> is no member"),
        ("Janey is no name", "<personal> is no name"),
        ("the repository api", "the repository api"),
    ],
)
def test_what_the_arguments_say_of_a_person_is_taken_out(said, kept):
    """Names, parts of them, addresses, numbers and handles go; teams and other words stay."""
    arguments = {
        "person": JANE, "username": "octo-jane", "preferred_name": "Janey", "repository": "api",
    }  # fmt: skip
    assert redacted(said, personal_words(arguments)) == kept


@given(name=st.text(min_size=3, max_size=20), text=st.text(max_size=80))
def test_a_name_never_survives_by_itself(name, text):
    """Whatever characters a name is made of, it is found where it stands alone."""
    words = personal_words({"person": Person(name=name, email="x.y@acme.example")})
    assert f" {name} " not in redacted(f"{text} {name} {text}", words) or len(name.strip()) < 3
