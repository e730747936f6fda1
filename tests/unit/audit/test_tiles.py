from functools import cache

import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.merkle import (
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_spans,
    inclusion_spans,
    root_of,
)
from newel.audit.tiles import (
    Growth,
    Tile,
    bundle,
    entries_of,
    entries_path,
    frontier_from,
    proof_from,
    root_from,
    tile_at,
    tile_path,
    tiles_below,
    tiles_of,
    widths,
)
from newel.base.errors import LogInconsistent

SIZES = [1, 255, 256, 257, 65_535, 65_536, 70_000]


@cache
def _tree(size):
    """Make the tiles of a log of this size by their definition: roots of what lies below."""
    row = [leaf_hash(number.to_bytes(4, "big")) for number in range(size)]
    frontier = Frontier()
    for leaf in row:
        frontier.append(leaf)
    levels = [row]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append(
            [root_of(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)]
        )
    return levels, frontier


def _source(size):
    levels, _ = _tree(size)

    def tile(wanted):
        row = levels[wanted.level][wanted.n * 256 : wanted.n * 256 + wanted.width]
        assert len(row) == wanted.width
        return b"".join(row)

    return tile


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_is_known_from_its_tiles(size):
    """Root, right edge and proofs come out of the tiles, at sizes around full tiles."""
    _, frontier = _tree(size)
    source = _source(size)
    root = frontier.root()
    assert root_from(size, source) == root
    assert frontier_from(size, source).packed() == frontier.packed()
    leaves = _tree(size)[0][0]
    for index in {0, size // 3, size - 1}:
        proof = proof_from(inclusion_spans(index, size), size, source)
        check_inclusion(index=index, size=size, leaf=leaves[index], proof=proof, root=root)
    for old in {1, size // 2, size - 1, size} - {0}:
        proof = proof_from(consistency_spans(old, size), size, source)
        old_root = root_from(old, _source(size))
        check_consistency(old=old, new=size, old_root=old_root, new_root=root, proof=proof)


def test_the_tiles_of_the_example_of_the_specification():
    """70,000 leaves have 273 full tiles, then one full one above, and three partial ones."""
    assert [sum(tile.level == level for tile in tiles_of(70_000)) for level in range(3)] == [
        273,
        1,
        0,
    ]
    assert widths(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert widths(256) == [Tile(1, 0, 1)]
    assert widths(0) == []


@pytest.mark.parametrize("since", [0, 1, 255, 256, 65_535, 65_536, 69_999])
def test_new_tiles_are_those_that_were_not_full_before(since):
    """What a growing log has to store is what it has now and had not then."""
    assert set(tiles_of(70_000, since=since)) == set(tiles_of(70_000)) - set(tiles_of(since))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(3, 5, 7), "tile/3/005.p/7"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
    ],
)
def test_an_address_is_written_and_read(tile, path):
    """A tile has one address, and its entries another."""
    assert tile_path(tile) == path
    assert tile_at(path.removeprefix("tile/")) == (tile, False)


def test_the_address_of_entries():
    """The entries of a tile of level 0 have an address of their own."""
    assert entries_path(Tile(0, 1000, 3)) == "tile/entries/x001/000.p/3"
    assert tile_at("entries/x001/000.p/3") == (Tile(0, 1000, 3), True)


@pytest.mark.parametrize(
    "path",
    [
        "0/00",
        "0/x000/000",
        "00/000",
        "64/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000/000",
        "0/001/x002",
        "0/000.p",
        "-1/000",
        "0/٠٠٠",
        "entries/000/",
        "../0/000",
    ],
)
def test_other_spellings_are_refused(path):
    """An address is written in one way only."""
    with pytest.raises(LogInconsistent):
        tile_at(path)


def test_a_bundle_is_taken_apart_as_it_was_made():
    """Entries come back in order; a bundle that was cut is refused."""
    entries = [b"", b"a", b"x" * 32_768]
    assert entries_of(bundle(entries)) == entries
    with pytest.raises(LogInconsistent):
        entries_of(bundle(entries)[:-1])
    with pytest.raises(LogInconsistent):
        entries_of(b"\0")


def test_a_short_tile_is_refused():
    """A tile with fewer hashes than its width is not taken."""
    with pytest.raises(LogInconsistent):
        root_from(3, lambda tile: b"\0" * 64)


@pytest.mark.parametrize("cuts", [(0, 1, 255, 256, 257, 70_000), (300, 65_535, 65_537, 70_000)])
def test_a_tree_that_grows_tells_which_tiles_became_full(cuts):
    """However it is cut, the edge is that of the whole tree, and every full tile is told once."""
    row, frontier, full = _tree(70_000)[0][0], Frontier(), []
    at = 0
    for size in cuts:
        growth = Growth(frontier)
        for leaf in row[at:size]:
            growth.append(leaf)
        frontier, at = growth.frontier(), size
        full += growth.full
        whole = Frontier()
        for leaf in row[:size]:
            whole.append(leaf)
        assert (frontier.size, frontier.packed()) == (size, whole.packed())
    levels = _tree(70_000)[0]
    assert full == sorted(
        ((tile, levels[tile.level + 1][tile.n]) for tile in tiles_of(70_000)),
        key=lambda each: ((each[0].n + 1) << (8 * (each[0].level + 1)), each[0].level),
    )
    assert set(tiles_below(70_000)) <= {*tiles_of(70_000), *widths(70_000)}
