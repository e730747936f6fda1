"""Checkpoints, and proofs that carry one with them."""

import base64

import pytest

from newel.audit.canonical import leaf_hash
from newel.audit.checkpoint import Checkpoint, Proof, opened
from newel.audit.merkle import EMPTY_ROOT, inclusion_spans, root_of
from newel.audit.note import Note, SigningKey
from newel.base.errors import CheckpointInvalid, LogInconsistent

EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""
KEY = SigningKey("example.com/log", bytes(range(32)))
OTHER = SigningKey("example.com/else", bytes(range(32)))
ENTRIES = [b'{"v":1}', b'{"v":2}', b'{"v":3}']
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
HEAD = Checkpoint("example.com/log", 3, root_of(LEAVES))
NOTE = Note(HEAD.text, (KEY.signed(HEAD.text),))
ROOT = base64.b64encode(HEAD.root).decode()


def test_the_example_of_the_specification():
    """The published checkpoint is read, and written as it was."""
    head = Checkpoint.parsed(EXAMPLE)
    assert (head.origin, head.size, head.text) == (
        "example.com/behind-the-sofa",
        20_852_163,
        EXAMPLE,
    )


def test_the_example_of_our_own_document():
    """Three leaves of the audit document have the root that stands there."""
    assert [leaf.hex()[:8] for leaf in LEAVES] == ["0fe7f04c", "ce573896", "02e75630"]
    assert ROOT == "cZkfUkOflRH5zd8cJjWzurZDAek09ppG2hjJ0/0tiGY="


@pytest.mark.parametrize(
    "text",
    [
        f"o\n3\n{ROOT}",
        f"\n3\n{ROOT}\n",
        f"o\n03\n{ROOT}\n",
        f"o\n-3\n{ROOT}\n",
        f"o\n3 \n{ROOT}\n",
        f"o\n٣\n{ROOT}\n",
        f"o\n9223372036854775808\n{ROOT}\n",
        f"o\n0\n{ROOT}\n",
        "o\n3\n",
        "o\n3\nAAAA\n",
        f"o\n3\n{ROOT}=\n",
        f"o\n3\n{ROOT}\n\n",
        f"o\n3\n{ROOT}\nextension\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    """Each rule of the format that is broken refuses the checkpoint."""
    with pytest.raises(CheckpointInvalid):
        Checkpoint.parsed(text)


def test_extension_lines_are_kept():
    """Lines after the root are opaque and stay."""
    assert Checkpoint.parsed(f"o\n3\n{ROOT}\nmore\n").extensions == ("more",)
    assert Checkpoint("o", 0, EMPTY_ROOT).text.startswith("o\n0\n47DEQpj8HBSa")


def test_only_a_key_of_the_same_origin_opens_a_checkpoint():
    """A checkpoint needs a signature by a trusted key whose name is its origin."""
    assert opened(NOTE, [OTHER.verifier(), KEY.verifier()]) == HEAD
    with pytest.raises(CheckpointInvalid, match="none of the keys"):
        opened(NOTE, [OTHER.verifier()])
    with pytest.raises(CheckpointInvalid, match="none of the keys"):
        opened(Note(HEAD.text, (OTHER.signed(HEAD.text),)), [OTHER.verifier()])


def _proof(index=1, extra=ENTRIES[1]):
    spans = inclusion_spans(index, 3)
    hashes = tuple(root_of(LEAVES[span.start : span.end]) for span in spans)
    return Proof(index, hashes, NOTE, extra)


@pytest.mark.parametrize("extra", [None, b"", ENTRIES[1]])
def test_a_proof_is_written_and_read(extra):
    """A proof comes back as it was, with and without the bytes that travel along."""
    proof = _proof(extra=extra)
    assert Proof.parsed(str(proof)) == proof
    assert proof.check(LEAVES[1], [KEY.verifier()]) == HEAD


def test_a_proof_shows_its_own_leaf_only():
    """Another leaf, another place or another signer is refused."""
    with pytest.raises(LogInconsistent):
        _proof().check(LEAVES[0], [KEY.verifier()])
    with pytest.raises(LogInconsistent):
        Proof(0, _proof().hashes, NOTE).check(LEAVES[1], [KEY.verifier()])
    with pytest.raises(CheckpointInvalid):
        _proof().check(LEAVES[1], [OTHER.verifier()])


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 1", "index 01"),
        ("index 1", "1"),
        ("extra ", "extra  "),
        ("\n\n", "\n"),
        ("index 1\n", "index 1\nAAAA\n"),
    ],
)
def test_what_is_no_proof_is_refused(there, instead):
    """Each rule of the format that is broken refuses the proof."""
    with pytest.raises(CheckpointInvalid):
        Proof.parsed(str(_proof()).replace(there, instead))


def test_a_proof_without_a_place_is_refused():
    """A proof has to say which leaf it is about."""
    with pytest.raises(CheckpointInvalid):
        Proof.parsed(f"c2sp.org/tlog-proof@v1\n\n{NOTE}")
