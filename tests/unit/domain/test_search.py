"""Folding and trigrams: the ground of finding people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.domain.search import beginnings, folded, grams, similarity


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("Jane Doe", "jane doe"),
        ("  JANE\tdoe ", "jane doe"),
        ("Zoë Müller", "zoe muller"),
        ("Łukasz Żak", "lukasz zak"),
        ("Søren Ærø", "soren aero"),
        ("Straße", "strasse"),
        ("O'Brien-Smith", "o brien smith"),
        ("jane.doe@acme.example", "jane doe acme example"),
        ("İbrahim", "ibrahim"),
        ("", ""),
    ],
)
def test_folding_leaves_what_is_compared(typed, compared):
    """Case, accents, strokes and punctuation make no difference."""
    assert folded(typed) == compared


def test_grams_are_of_words_with_weighted_beginnings():
    """A word of two letters has its beginning twice and its end once."""
    assert grams("Jo") == ["  j", " jo", "jo "]


def test_grams_of_several_texts_are_one_sorted_set():
    """Name and address share their grams."""
    assert grams("Jo", "jo@jo") == ["  j", " jo", "jo "]


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text):
    """What is stored and what is typed meet, however often they are folded."""
    assert folded(folded(text)) == folded(text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_a_share(asked, known):
    """It lies between 0 and 1, and is 1 for the text itself unless nothing is left of it."""
    assert 0 <= similarity(asked, known) <= 1
    assert similarity(asked, asked) == (1.0 if grams(asked) else 0.0)


@given(st.text(max_size=30), st.text(max_size=30))
def test_beginnings_stand_in_whatever_goes_on(text, more):
    """Whoever has a name that begins as was typed has all those trigrams."""
    asked = folded(text)
    assert set(beginnings(asked)) <= set(grams(asked + folded(more).replace(" ", "")))
