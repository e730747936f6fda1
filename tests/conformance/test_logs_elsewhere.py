"""The log in the eyes of others: two programs that we did not write accept it, unless changed.

`tlog-scales` reads notes, cosignatures, tiles and bundles; `metamorphic-log`, which is written in
another language, reads notes and proofs. What they disagree with us about would be our mistake.
Source: our own audit document §17.
"""

import base64

import metamorphic_log
import pytest
from cryptography.exceptions import InvalidSignature
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from newel.audit.canonical import leaf_bytes, leaf_hash
from newel.audit.checkpoint import Checkpoint
from newel.audit.merkle import Frontier, consistency_spans, inclusion_spans, root_of
from newel.audit.note import COSIGNATURE, Note, SigningKey
from newel.audit.tiles import (
    WIDTH,
    Tile,
    bundle,
    entries_path,
    proof_from,
    tile_path,
    tiles_of,
    widths,
)

SIZES = (1, 7, 256, 300)
KEY = SigningKey("newel.example/audit/5f0c/1", bytes([7]) * 32)
WITNESS = SigningKey("witness.example/1", bytes([8]) * 32)
ENTRIES = [leaf_bytes({"seq": number, "v": 1}) for number in range(max(SIZES))]
HASHES = [leaf_hash(entry) for entry in ENTRIES]


def _tile(tile):
    """Give the hashes of a tile as newel computes them."""
    span = WIDTH**tile.level
    first = tile.n * WIDTH * span
    return b"".join(
        root_of(HASHES[at : at + span]) for at in range(first, first + tile.width * span, span)
    )


def _note(size):
    """Give newel's checkpoint of a size, cosigned by a witness."""
    frontier = Frontier()
    for each in HASHES[:size]:
        frontier.append(each)
    checkpoint = Checkpoint(KEY.name, size, frontier.root())
    signed = (KEY.signed(checkpoint.text), WITNESS.cosigned(checkpoint.text, 1_770_000_000))
    return Note(checkpoint.text, signed)


def _written(folder, size):
    """Write the log of this size as it is served."""
    files = {"checkpoint": str(_note(size)).encode()}
    for tile in (*tiles_of(size), *widths(size)):
        files[tile_path(tile)] = _tile(tile)
        if tile.level == 0:
            first = tile.n * WIDTH
            files[entries_path(tile)] = bundle(ENTRIES[first : first + tile.width])
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _root(size):
    return base64.b64decode(_note(size).text.split("\n")[2])


@pytest.mark.parametrize("size", SIZES)
def test_a_tile_client_reads_our_log(tmp_path, size):
    """Checkpoint, cosignature, tiles of all levels and bundles are accepted by `tlog-scales`."""
    reader = TilesReader(LocalBackend(_written(tmp_path, size)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(str(KEY.verifier())))
    checkpoint.verify(Vkey.from_string(str(WITNESS.verifier(COSIGNATURE))))
    assert (checkpoint.origin, checkpoint.size) == (KEY.name, size)
    assert reader.calculate_root_hash() == checkpoint.root_hash
    for index in {0, size // 2, size - 1}:
        assert reader.get_entry(index) == ENTRIES[index]
        proof = reader.get_inclusion_proof(index, size)
        proof.check(leaf_hash(ENTRIES[index]), checkpoint.root_hash)
        assert proof.node_hashes == proof_from(inclusion_spans(index, size), size, _tile)


@pytest.mark.parametrize(
    ("name", "find"),
    [
        (tile_path(Tile(1, 0, 1)), lambda reader: reader.calculate_root_hash() == _root(300)),
        (tile_path(Tile(0, 0)), lambda reader: reader.mth(0, 64) == root_of(HASHES[:64])),
        (tile_path(Tile(0, 1, 44)), lambda reader: reader.calculate_root_hash() == _root(300)),
        (entries_path(Tile(0, 0)), lambda reader: reader.get_entry(0) == ENTRIES[0]),
    ],
)
def test_a_tile_client_refuses_changed_tiles(tmp_path, name, find):
    """A bit in a tile or bundle leads `tlog-scales` to another root or another entry."""
    folder = _written(tmp_path, 300)
    reader = TilesReader(LocalBackend(folder))
    reader.get_checkpoint()
    assert find(reader)
    data = bytearray((folder / name).read_bytes())
    data[5] ^= 1
    (folder / name).write_bytes(data)
    changed = TilesReader(LocalBackend(folder))
    changed.get_checkpoint()
    assert not find(changed)


def _altered(note, at):
    """Change one character of a line."""
    lines = str(note).split("\n")
    lines[at] = ("B" if lines[at][0] != "B" else "C") + lines[at][1:]
    return "\n".join(lines)


@pytest.mark.parametrize("key", [KEY.verifier(), WITNESS.verifier(COSIGNATURE)])
def test_a_tile_client_refuses_changed_checkpoints(tmp_path, key):
    """A changed root is signed neither by the log nor by the witness, says `tlog-scales`."""
    folder = _written(tmp_path, 7)
    (folder / "checkpoint").write_text(_altered(_note(7), 2))
    checkpoint = TilesReader(LocalBackend(folder)).get_checkpoint()
    with pytest.raises(InvalidSignature):
        checkpoint.verify(Vkey.from_string(str(key)))


@pytest.mark.parametrize("size", SIZES)
def test_another_language_reads_our_checkpoints_and_proofs(size):
    """Signature, inclusion and consistency are accepted by `metamorphic-log`."""
    keys = [str(KEY.verifier())]
    head = metamorphic_log.checkpoint_verify(str(_note(size)), keys)
    assert (head.origin, head.size, head.root) == (KEY.name, size, _root(size))
    for index in {0, size // 2, size - 1}:
        proof = proof_from(inclusion_spans(index, size), size, _tile)
        metamorphic_log.checkpoint_verify_inclusion(
            str(_note(size)), keys, index, HASHES[index], proof
        )
        with pytest.raises(metamorphic_log.VerifyError):
            metamorphic_log.checkpoint_verify_inclusion(
                str(_note(size)), keys, index, leaf_hash(b"another"), proof
            )


def test_another_language_refuses_changed_checkpoints():
    """A changed text, a changed signature and another key are refused by `metamorphic-log`."""
    other = SigningKey(KEY.name, bytes([9]) * 32)
    for note, key in (
        (_altered(_note(7), 2), KEY),
        (_altered(_note(7), 0), KEY),
        (str(_note(7)), other),
    ):
        with pytest.raises(metamorphic_log.VerifyError):
            metamorphic_log.checkpoint_verify(note, [str(key.verifier())])


@pytest.mark.parametrize(("old", "new"), [(1, 7), (7, 256), (256, 300), (7, 300)])
def test_both_accept_that_our_log_only_grew(tmp_path, old, new):
    """A proof of consistency is accepted by both, is the same from both, and fails if changed."""
    proof = proof_from(consistency_spans(old, new), new, _tile)
    reader = TilesReader(LocalBackend(_written(tmp_path, new)))
    reader.get_checkpoint()
    theirs = reader.get_consistency_proof(old, new)
    assert theirs.node_hashes == proof
    theirs.check(_root(old), _root(new))
    notes = (str(_note(old)), str(_note(new)))
    keys = [str(KEY.verifier())]
    metamorphic_log.checkpoint_verify_consistency(*notes, keys, proof)
    changed = [bytes(32), *proof[1:]]
    with pytest.raises(metamorphic_log.VerifyError):
        metamorphic_log.checkpoint_verify_consistency(*notes, keys, changed)
    with pytest.raises(ConsistencyProofInvalid):
        theirs.check(bytes(32), _root(new))


def test_both_refuse_a_proof_for_another_place():
    """A proof of inclusion holds for its own index only."""
    proof = proof_from(inclusion_spans(3, 7), 7, _tile)
    InclusionProof(3, 7, proof).check(HASHES[3], _root(7))
    with pytest.raises(InclusionProofInvalid):
        InclusionProof(4, 7, proof).check(HASHES[3], _root(7))
    with pytest.raises(metamorphic_log.VerifyError):
        metamorphic_log.verify_inclusion(4, 7, HASHES[3], proof, _root(7))
