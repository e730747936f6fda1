import base64
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from newel.audit.canonical import DEPTH_LIMIT, SIZE_LIMIT, leaf_bytes, leaf_hash, node_hash
from newel.base.errors import NotJournalable

VECTORS = Path(__file__).parents[2] / "vectors" / "jcs-rfc8785" / "testdata"


class Colour(StrEnum):
    """Text with a class of its own."""

    RED = "red"


class Number(int):
    """A number with a class of its own."""


def _values(texts, numbers):
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names(), inner, max_size=4),
        max_leaves=12,
    )


def _names():
    return st.text(st.characters(max_codepoint=127, min_codepoint=1), max_size=8)


ours = st.dictionaries(
    _names(),
    _values(
        st.text(st.characters(codec="utf-8", min_codepoint=1)),
        st.integers(-(2**53) + 1, 2**53 - 1),
    ),
    max_size=6,
)


def _depth(value):
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth, parts), default=0)
    return 0


def _writes_otherwise(value):
    """Tell whether an object is outside the part of JSON that leaves use."""
    if isinstance(value, dict):
        return any(not name.isascii() or _writes_otherwise(part) for name, part in value.items())
    if isinstance(value, list):
        return any(map(_writes_otherwise, value))
    return isinstance(value, float) or (isinstance(value, str) and "\0" in value)


@given(ours)
def test_our_bytes_are_those_of_any_other_encoder(value):
    """On the JSON that leaves use, our bytes equal those of an RFC 8785 library and of json."""
    if _depth(value) > DEPTH_LIMIT:
        with pytest.raises(NotJournalable, match="levels deep"):
            leaf_bytes(value)
        return
    expected = rfc8785.dumps(value)
    assert leaf_bytes(value) == expected
    assert (
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        == expected
    )


@pytest.mark.parametrize("path", sorted(VECTORS.glob("input/*.json")), ids=lambda path: path.stem)
def test_the_vectors_of_the_specification(path):
    """The oracle passes each vector; we write the same bytes, or refuse what leaves never hold."""
    value = json.loads(path.read_bytes())
    expected = (VECTORS / "output" / path.name).read_bytes()
    assert rfc8785.dumps(value) == expected
    members = value if isinstance(value, dict) else {"list": value}
    if _writes_otherwise(members):
        with pytest.raises(NotJournalable):
            leaf_bytes(members)
    else:
        assert leaf_bytes(members) == rfc8785.dumps(members)


def test_how_many_vectors_there_are():
    """Six vectors of the specification lie here; two are within the part of JSON we use."""
    values = [json.loads(path.read_bytes()) for path in VECTORS.glob("input/*.json")]
    assert len(values) == 6
    assert sum(not _writes_otherwise(v if isinstance(v, dict) else {"": v}) for v in values) == 2


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": 1.0}, "it holds a float"),
        ({"a": [{"b": float("nan")}]}, "it holds a float"),
        ({"a": (1, [0.5])}, "it holds a float"),
        ({"a": 2**53}, "a number in it is 2^53 or more"),
        ({"a": -(2**53)}, "a number in it is 2^53 or more"),
        ({"a": 2**70}, "a number in it is 2^53 or more"),
        ({"a": "x\0y"}, "a text in it holds U+0000"),
        ({"a": ["ü", {"b": "\0"}]}, "a text in it holds U+0000"),
        ({"a\0": 1}, "a text in it holds U+0000"),
        ({"ä": 1}, "a name in it is not ASCII"),
        ({"a": {"ä": 1}}, "a name in it is not ASCII"),
        ({"a": "\ud800"}, "a text in it holds half a surrogate pair"),
        ({"a": "x" * SIZE_LIMIT}, f"it has {SIZE_LIMIT + 8} bytes, {SIZE_LIMIT} are allowed"),
        ({"a": Colour.RED}, "it holds a Colour"),
        ({"a": Number(3)}, "it holds a Number"),
        ({"a": UUID(int=0)}, "it holds a UUID"),
        ({"a": datetime(2026, 1, 5, tzinfo=UTC)}, "it holds a datetime"),
        ({"a": b"x"}, "it holds a bytes"),
        ({"a": {1, 2}}, "it holds a set"),
        (
            {"a": {3: 1}},
            "a name in it is no text, or it holds something else (Dict key must be str)",
        ),
        ({"a": [[[[[[1]]]]]]}, "it is more than 6 levels deep"),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}, "it is more than 6 levels deep"),
    ],
)
def test_what_cannot_stand_in_a_leaf_is_refused(value, why):
    """Floats, foreign types, bad characters, large numbers, depth and size are refused."""
    with pytest.raises(NotJournalable) as refused:
        leaf_bytes(value)
    assert str(refused.value) == f"This cannot stand in the audit log: {why}."


def test_the_limits_themselves_are_allowed():
    """The largest number, the deepest nesting and the largest size pass."""
    assert leaf_bytes({"a": 2**53 - 1}) == b'{"a":9007199254740991}'
    assert leaf_bytes({"a": [[[[[1]]]]]}) == b'{"a":[[[[[1]]]]]}'
    assert leaf_bytes({"a": {"b": {"c": {"d": {"e": {}}}}}}) == b'{"a":{"b":{"c":{"d":{"e":{}}}}}}'
    assert len(leaf_bytes({"a": "x" * (SIZE_LIMIT - 8)})) == SIZE_LIMIT


def test_a_backslash_is_no_bad_character():
    """Text that only looks like an escape is written."""
    value: dict[str, Any] = {"a": "\\u0000", "b": ("\\", {"c": ["ü\\"]})}
    assert leaf_bytes(value) == rfc8785.dumps({"a": "\\u0000", "b": ["\\", {"c": ["ü\\"]}]})


def test_the_small_tree():
    """The hashes of three small leaves and their root are those of the audit document, §3.1."""
    leaves = [leaf_hash(leaf_bytes({"v": n})) for n in (1, 2, 3)]
    assert [leaf.hex()[:8] for leaf in leaves] == ["0fe7f04c", "ce573896", "02e75630"]
    root = node_hash(node_hash(leaves[0], leaves[1]), leaves[2])
    assert base64.b64encode(root) == b"cZkfUkOflRH5zd8cJjWzurZDAek09ppG2hjJ0/0tiGY="
