"""User names: in order, plain, of bounded length; none where nothing plain is left."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.domain.naming import LONGEST_USER_NAME, user_names


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Jane Doe", ["jane.doe", "jane.doe2", "jane.doe3"]),
        ("  Jane Mary   O'Doe ", ["jane.odoe", "jane.odoe2"]),
        ("Anna-Lena Größe", ["annalena.grosse"]),
        ("Łukasz Ørsted 🌻", ["lukasz.orsted"]),
        ("Madonna", ["madonna", "madonna2"]),
        ("Maximiliane Hohenzollern", ["maximiliane.hohenzol", "maximiliane.hohenzo2"]),
        ("Bartholomaeus-Maximi Ng", ["bartholomaeusmaximi", "bartholomaeusmaximi2"]),
        ("王秀英", []),
        ("🌻", []),
    ],
)
def test_names_become_user_names(name, first):
    """Written out for each rule."""
    assert list(islice(user_names(name), len(first) or 1)) == first


@given(st.text(max_size=60))
def test_whatever_the_name_they_are_plain_short_and_different(name):
    """All of them, for any text."""
    found = list(user_names(name))
    assert len(set(found)) == len(found)
    for each in found:
        assert 0 < len(each) <= LONGEST_USER_NAME
        assert each.isascii() and each.replace(".", "").isalnum() and each[0] != "."
