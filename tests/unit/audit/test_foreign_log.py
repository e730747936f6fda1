"""A log that other software has made: its checkpoints, tiles and bundles are read as ours are."""

from itertools import pairwise
from pathlib import Path

import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.checkpoint import opened
from newel.audit.merkle import (
    check_consistency,
    check_inclusion,
    consistency_spans,
    inclusion_spans,
)
from newel.audit.note import Note, VerifierKey
from newel.audit.tiles import (
    Tile,
    entries_of,
    entries_path,
    proof_from,
    root_from,
    tile_path,
)

FOREIGN = Path(__file__).parents[2] / "vectors" / "tessera-testlog"
LOG = FOREIGN / "testdata" / "log"
NOTES = sorted(LOG.glob("checkpoint*"))


@pytest.fixture(scope="module")
def key():
    """Give the key of the foreign log."""
    return VerifierKey.parsed((FOREIGN / "vkey.txt").read_text("utf-8").strip())


def _opened(path, key):
    return opened(Note.parsed(path.read_bytes()), [key])


def _tile(tile):
    return (LOG / tile_path(tile)).read_bytes()


def test_every_checkpoint_of_it_verifies(key):
    """All 17 checkpoints carry its signature and have the root of its tiles."""
    heads = [_opened(path, key) for path in NOTES]
    assert len(heads) == 17
    assert [root_from(head.size, _tile) for head in heads] == [head.root for head in heads]


def test_its_bundles_hash_to_its_tiles():
    """The entries of each of its bundles are the leaves of the tile beside it."""
    for width in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15):
        tile = Tile(0, 0, width)
        entries = entries_of((LOG / entries_path(tile)).read_bytes())
        assert b"".join(leaf_hash(entry) for entry in entries) == _tile(tile)


def test_all_its_sizes_are_consistent(key):
    """Each of its checkpoints grew out of the one before, and each leaf is in the last."""
    heads = sorted((_opened(path, key) for path in NOTES), key=lambda head: head.size)
    for old, new in pairwise(head for head in heads if head.size):
        check_consistency(
            old=old.size,
            new=new.size,
            old_root=old.root,
            new_root=new.root,
            proof=proof_from(consistency_spans(old.size, new.size), new.size, _tile),
        )
    last = heads[-1]
    leaves = _tile(Tile(0, 0, last.size))
    for index in range(last.size):
        check_inclusion(
            index=index,
            size=last.size,
            leaf=leaves[32 * index : 32 * index + 32],
            proof=proof_from(inclusion_spans(index, last.size), last.size, _tile),
            root=last.root,
        )
