"""The published proofs, good and bad, and proofs of trees of our own."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newel.audit.canonical import leaf_hash
from newel.audit.merkle import (
    Frontier,
    Span,
    check_consistency,
    check_inclusion,
    consistency_spans,
    inclusion_spans,
    root_of,
)
from newel.base.errors import LogInconsistent

VECTORS = Path(__file__).parents[2] / "vectors" / "rfc6962-transparency-dev" / "testdata"


def _read(kind):
    return [
        json.loads(path.read_text("utf-8")) for path in sorted((VECTORS / kind).rglob("*.json"))
    ]


def _hash(text):
    return base64.b64decode(text or "")


def _accepted(check):
    try:
        check()
    except LogInconsistent:
        return False
    return True


def test_published_inclusion_proofs():
    """Of the 98 published proofs of inclusion the 6 good ones are accepted, the others refused."""
    vectors = _read("inclusion")
    found = [
        _accepted(
            lambda each=each: check_inclusion(
                index=each["leafIdx"],
                size=each["treeSize"],
                leaf=_hash(each["leafHash"]),
                proof=[_hash(line) for line in each["proof"] or []],
                root=_hash(each["root"]),
            )
        )
        for each in vectors
    ]
    assert found == [not each["wantErr"] for each in vectors]
    assert (found.count(True), found.count(False)) == (6, 92)


def test_published_consistency_proofs():
    """Of the 98 published proofs of consistency the 6 good ones are accepted and no other."""
    vectors = _read("consistency")
    found = [
        _accepted(
            lambda each=each: check_consistency(
                old=each["size1"],
                new=each["size2"],
                old_root=_hash(each["root1"]),
                new_root=_hash(each["root2"]),
                proof=[_hash(line) for line in each["proof"] or []],
            )
        )
        for each in vectors
    ]
    assert found == [not each["wantErr"] for each in vectors]
    assert (found.count(True), found.count(False)) == (6, 92)


LEAVES = [leaf_hash(str(number).encode()) for number in range(70)]


def _proof(spans):
    return [root_of(LEAVES[span.start : span.end]) for span in spans]


@given(st.data())
def test_planned_proofs_are_accepted_and_only_for_what_they_prove(data):
    """A planned proof shows its leaf and its older tree, and no other leaf and no other tree."""
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    root = root_of(LEAVES[:size])
    inclusion = _proof(inclusion_spans(index, size))
    check_inclusion(index=index, size=size, leaf=LEAVES[index], proof=inclusion, root=root)
    other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index) | st.just(size))
    assert not _accepted(
        lambda: check_inclusion(
            index=other, size=size, leaf=LEAVES[index], proof=inclusion, root=root
        )
    )
    old = index + 1
    consistency = _proof(consistency_spans(old, size))
    check_consistency(
        old=old, new=size, old_root=root_of(LEAVES[:old]), new_root=root, proof=consistency
    )
    assert not _accepted(
        lambda: check_consistency(
            old=old,
            new=size,
            old_root=root_of([*LEAVES[: old - 1], LEAVES[-1] if old != 70 else LEAVES[0]]),
            new_root=root,
            proof=consistency,
        )
    )


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_frontier_goes_on_from_what_was_kept(first, more):
    """A tree that is put away and taken up again has the same root as one that grew in one go."""
    kept = Frontier()
    for leaf in LEAVES[:first]:
        kept.append(leaf)
    again = Frontier(first, kept.packed())
    for leaf in LEAVES[first : first + more]:
        again.append(leaf)
    assert again.root() == root_of(LEAVES[: first + more])


def test_a_frontier_of_another_size_is_refused():
    """Hashes that do not belong to the size are not taken for its right edge."""
    with pytest.raises(LogInconsistent):
        Frontier(3, b"\0" * 32)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_proof_is_planned_for_a_leaf_that_is_not_there(index, size):
    """What is not in the tree has no proof."""
    with pytest.raises(LogInconsistent):
        inclusion_spans(index, size)


def test_nothing_is_consistent_with_what_is_larger():
    """A tree does not grow out of a larger one, and out of nothing without a proof."""
    with pytest.raises(LogInconsistent):
        consistency_spans(4, 3)
    assert consistency_spans(0, 3) == []
    assert consistency_spans(2, 3) == [Span(2, 3)]
