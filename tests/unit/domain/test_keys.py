"""Keys: their grammar, and who may claim one when (drawing document, §2.1 and §2.2)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newel.base.errors import DuplicateKey, NotJournalable
from newel.domain.keys import (
    MAX_KEY_BYTES,
    BranchPath,
    Claims,
    checked_name,
    encoded,
    named,
)


class Course(Enum):
    """Subscripts may be members of an Enum."""

    FIRE = "fire-drill"
    SEVEN = 7


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("api", "api"),
        (7, "7"),
        (-1, "-1"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Course.FIRE, "fire-drill"),
        (Course.SEVEN, "7"),
        (("a", 1), "a,1"),
        (("a,b", "c"), "a%2Cb,c"),
        ("a,b", "a,b"),
        ("50%", "50%25"),
        ("a/b[c]#d*e", "a%2Fb%5Bc%5D%23d%2Ae"),
        ("line\nbreak\x7f", "line%0Abreak%7F"),
        ("Zoë 🚀", "Zoë 🚀"),
    ],
)
def test_a_part_of_a_key_is_written_so_that_it_cannot_be_mistaken(part, text):
    """Reserved and control characters are percent-encoded; a comma only inside a tuple."""
    assert encoded(part) == text


@pytest.mark.parametrize("part", [1.5, "", True, None, b"x", ("a", 2.0), ("a", ""), object()])
def test_a_part_whose_text_is_not_stable_is_refused(part):
    """Floats, flags, nothing and empty text are no parts of a key."""
    with pytest.raises(NotJournalable):
        encoded(part)


texts = st.text(min_size=1, max_size=12)


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_different_parts_have_different_texts(one, other):
    """Encoding is one-to-one, also for tuples."""
    assert (encoded(one) == encoded(other)) == (one == other)
    assert (encoded(one[0]) == encoded(other[0])) == (one[0] == other[0])


@pytest.mark.parametrize("name", ["a", "github.grant", "_x", "first-day", "A9_b-c", "a.b.c"])
def test_names_of_the_grammar_are_taken(name):
    """Letters, digits, dashes and dots, beginning with a letter."""
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "9a", "-a", "a.", ".a", "a..b", "a b", "a/b", "é", "a[b]", "a#2", "_newel", "a\n"]
)
def test_names_outside_the_grammar_are_refused(name):
    """Everything else is no name, and neither is what newel keeps for itself."""
    with pytest.raises(NotJournalable):
        checked_name(name)


def test_a_part_of_a_name_has_at_most_eighty_letters():
    """The grammar bounds each part between two dots."""
    assert checked_name("a" * 80 + "." + "b" * 80)
    with pytest.raises(NotJournalable):
        checked_name("a" * 81)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("level[7]", "level[7]"),
        ("done", "done"),
        ("a.b[x/y]", "a.b[x%2Fy]"),
        ("a[b]c]", "a[b%5Dc]"),
    ],
)
def test_the_key_of_a_wait_may_name_one_of_many(text, key):
    """`name[item]` becomes a name with a subscript, and the item is encoded."""
    assert named(text) == key


@pytest.mark.parametrize("text", ["a[]", "[b]", "a]b[", "a[b", "a b", ""])
def test_the_key_of_a_wait_is_a_name_or_it_is_refused(text):
    """Anything but `name` and `name[item]` is refused."""
    with pytest.raises(NotJournalable):
        named(text)


def test_a_key_has_at_most_240_bytes():
    """Bytes are counted, not letters, and the counter belongs to the key."""
    claims = Claims()
    longest = "é" * (MAX_KEY_BYTES // 2)
    assert claims.claim(longest, ()) == longest
    with pytest.raises(NotJournalable):
        claims.claim(longest, ())
    with pytest.raises(NotJournalable):
        Claims().claim("é" * (MAX_KEY_BYTES // 2) + "x", ())


def test_repetition_in_sequence_is_counted():
    """The same key again in the same branch gets #2, #3."""
    claims = Claims()
    assert [claims.claim("draft", ()) for _ in range(3)] == ["draft", "draft#2", "draft#3"]


def test_what_a_branch_claimed_may_be_claimed_again_after_the_join():
    """Once the fork has ended, its claims are no longer concurrent with what follows."""
    claims = Claims()
    claims.opened(1)
    assert claims.claim("x", ((1, 0),)) == "x"
    claims.joined(1)
    assert claims.claim("x", ()) == "x#2"


def test_a_branch_may_repeat_what_its_body_claimed_before_the_fork():
    """A prefix of a path is not concurrent with it."""
    claims = Claims()
    assert claims.claim("x", ()) == "x"
    claims.opened(1)
    assert claims.claim("x", ((1, 0),)) == "x#2"


def test_two_branches_never_share_a_key():
    """The second claim of an open fork is refused, and names the key."""
    claims = Claims()
    claims.opened(1)
    claims.claim("x", ((1, 0),))
    with pytest.raises(DuplicateKey) as refused:
        claims.claim("x", ((1, 1),))
    assert refused.value.key == "x"


def test_a_nested_fork_that_has_ended_is_still_concurrent_with_the_branch_beside_it():
    """What counts is the fork where two paths part, not the innermost one."""
    claims = Claims()
    claims.opened(1)
    claims.opened(2)
    claims.claim("x", ((1, 0), (2, 0)))
    claims.joined(2)
    with pytest.raises(DuplicateKey):
        claims.claim("x", ((1, 1),))


# --- any tree of forks, under any interleaving ------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A branch claims a key."""

    base: str


@dataclass(frozen=True)
class Split:
    """A branch splits; each branch is a list of what it does."""

    branches: tuple[tuple[object, ...], ...]


bodies = st.recursive(
    st.lists(st.sampled_from("abc").map(Claim), min_size=1, max_size=3).map(tuple),
    lambda inner: st.lists(
        st.one_of(
            st.sampled_from("abcd").map(Claim),
            st.lists(inner, min_size=1, max_size=3).map(lambda each: Split(tuple(each))),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    max_leaves=8,
)


class Interleaving:
    """Plays a body with the branches taking turns as chance says; notes keys by place."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.claims = Claims()
        self.forks = 0
        self.keys: dict[str, str] = {}

    def play(self, body: tuple[object, ...]) -> dict[str, str] | None:
        """The key at each place of the body, or None if two branches share one."""
        try:
            for _ in self._branch(body, (), ""):
                pass
        except DuplicateKey:
            return None
        return self.keys

    def _branch(
        self, body: tuple[object, ...], path: BranchPath, at: str
    ) -> Generator[None, None, None]:
        for number, act in enumerate(body):
            place = f"{at}.{number}"
            if isinstance(act, Claim):
                yield
                self.keys[place] = self.claims.claim(act.base, path)
            elif isinstance(act, Split):
                yield from self._fork(act, path, place)

    def _fork(self, split: Split, path: BranchPath, at: str) -> Generator[None, None, None]:
        self.forks += 1
        fork = self.forks
        self.claims.opened(fork)
        running = [
            self._branch(body, (*path, (fork, number)), f"{at}/{number}")
            for number, body in enumerate(split.branches)
        ]
        while running:
            branch = self.random.choice(running)
            try:
                next(branch)
                yield
            except StopIteration:
                running.remove(branch)
        self.claims.joined(fork)


@settings(max_examples=300)
@given(bodies, st.lists(st.integers(), min_size=2, max_size=6))
def test_keys_depend_on_the_program_and_never_on_timing(body, seeds):
    """Every interleaving gives the same key to the same place, or finds the shared key."""
    outcomes = [Interleaving(seed).play(body) for seed in seeds]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    if outcomes[0] is not None:
        keys = list(outcomes[0].values())
        assert len(keys) == len(set(keys))
