"""Whom a mistyped name may mean."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.domain.search import grams, similarity
from newel.people.finding import ENOUGH, FEW, Candidate, Tier, best, chosen, ranked

JANE = Candidate(ref=UUID(int=1), name="Jane Doe", email="jane.doe@acme.example", hr_key="E-17")
JANA = Candidate(ref=UUID(int=2), name="Jana Dorn", email="jana.dorn@acme.example")
JOHN = Candidate(ref=UUID(int=3), name="John Doe", email="john.doe@acme.example")
ZOE = Candidate(ref=UUID(int=4), name="Zoë O'Brien", email="zoe@acme.example")
OTHER_JANE = Candidate(ref=UUID(int=5), name="Jane Doe", email="jane.doe2@acme.example")
ALL = (JANE, JANA, JOHN, ZOE)


@pytest.mark.parametrize(
    ("typed", "tier"),
    [
        ("Jane Doe", Tier.EXACT),
        ("jane doe", Tier.EXACT),
        (" JANE  DOE ", Tier.EXACT),
        ("jane.doe@acme.example", Tier.EXACT),
        ("Jane.Doe@ACME.example", Tier.EXACT),
        ("e-17", Tier.EXACT),
        ("Jane", Tier.PREFIX),
        ("Do Jane", Tier.PREFIX),
        ("Jane Do", Tier.PREFIX),
        ("Jnae Doe", Tier.SIMILAR),
        ("Jane Deo", Tier.SIMILAR),
        ("Jane Dooe", Tier.SIMILAR),
        ("Jaen Doe", Tier.SIMILAR),
    ],
)
def test_jane_is_found_first(typed, tier):
    """However Jane Doe is typed, she comes first, in the tier that fits."""
    hits = ranked(typed, ALL)
    assert (hits[0].person, hits[0].tier) == (JANE, tier)


@pytest.mark.parametrize("typed", ["Jane Doe", "jane.doe@acme.example", "Jnae Doe", "Jane Deo"])
def test_a_clear_hit_is_the_only_answer(typed):
    """Where one person fits clearly best, nobody else is asked about."""
    assert [hit.person for hit in best(ranked(typed, ALL))] == [JANE]


def test_accents_and_apostrophes_need_not_be_typed():
    """`zoe o brien` is Zoë O'Brien, exactly."""
    assert [hit.tier for hit in best(ranked("zoe o brien", ALL))] == [Tier.EXACT]


def test_two_people_of_one_name_are_both_given():
    """Nobody is chosen for the reader where two fit alike."""
    assert [hit.person for hit in best(ranked("Jane Doe", (JANE, OTHER_JANE)))] == [
        JANE,
        OTHER_JANE,
    ]


def test_a_shared_beginning_gives_everybody_who_has_it():
    """`jan` begins Jane and Jana."""
    assert {hit.person for hit in best(ranked("jan", ALL))} == {JANE, JANA}


@pytest.mark.parametrize("typed", ["", "   ", "…", "Xaver Quist"])
def test_what_fits_nobody_finds_nobody(typed):
    """Nothing typed, or something else, has no hits."""
    assert best(ranked(typed, ALL)) == []


@given(st.text(alphabet="abcdeö ", max_size=20), st.text(alphabet="abcdeö ", max_size=20))
def test_where_trigrams_are_rare_nobody_who_is_a_hit_is_missed(typed, name):
    """Whoever shares enough with what was typed has one of the trigrams that are asked for."""
    telling = {gram for gram in grams(typed) if not gram.startswith("  ")}
    shared = telling & set(grams(name))
    if shared and similarity(typed, name) >= ENOUGH:
        rare = dict.fromkeys(telling, 1.0)
        assert set(chosen(typed, rare).telling) & set(grams(name))


def test_what_everybody_has_is_not_asked_for_alone():
    """The end of everybody's address finds nobody; what is rare beside it does."""
    common = dict.fromkeys(grams("acme example"), 50_000.0)
    by = chosen("jnae@acme.example", common)
    assert not set(by.telling) & set(common)
    assert {"jna", "nae"} <= set(by.telling)


def test_common_trigrams_are_asked_for_together():
    """Where each stands in too many people, pairs and words with first letters find."""
    by = chosen("Jnae Doe", dict.fromkeys(grams("Jane Doe"), FEW + 1.0))
    assert ("  d", "  j", " do", "doe") in by.sets
    assert all(len(each) > 1 for each in by.sets)
