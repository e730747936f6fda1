"""Signed notes: what the specification shows and forbids, and keys that libraries disagree on."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from newel.audit.note import (
    COSIGNATURE,
    ED25519,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    cosigned_at,
    key_id,
    verified,
)
from newel.base.errors import CheckpointInvalid

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXm"
    "RKuwHjG1Yu72IneyaQM=\n"
)
TEXT = "example.com/log\n3\nAAAA\n"
KEY = SigningKey("example.com/log", bytes(range(32)))
OTHER = SigningKey("example.com/log", bytes(range(1, 33)))
VECTORS = Path(__file__).parents[2] / "vectors" / "ed25519-cctv" / "ed25519" / "ed25519vectors.json"


def _note(*signatures, text=TEXT):
    return Note(text, tuple(signatures))


def test_the_example_of_the_specification():
    """The published note is signed by the published key, and is written back as it was."""
    key = VerifierKey.parsed(VKEY)
    note = Note.parsed(NOTE)
    assert verified(note, [key]) == [key]
    assert str(note) == NOTE
    assert str(key) == VKEY


def test_a_note_of_several_paragraphs():
    """Text and signatures part at the last empty line; a note by nobody we know has no signer."""
    note = Note.parsed(
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n"
        "ed è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5dd"
        "nGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    assert note.text.endswith("ed è subito sera.\n")
    assert verified(note, [VerifierKey.parsed(VKEY)]) == []


def test_what_one_signs_the_other_verifies():
    """A signed note carries its signer; another text under the same signature is refused."""
    signature = KEY.signed(TEXT)
    assert verified(Note.parsed(str(_note(signature))), [KEY.verifier()]) == [KEY.verifier()]
    with pytest.raises(CheckpointInvalid):
        verified(_note(signature, text="example.com/log\n4\nAAAA\n"), [KEY.verifier()])


def test_a_bad_signature_of_a_known_key_refuses_the_note():
    """A note is refused although another known key has signed it well."""
    bad = Signature(KEY.name, KEY.verifier().key_id, bytes(64))
    with pytest.raises(CheckpointInvalid):
        verified(_note(OTHER.signed(TEXT), bad), [KEY.verifier(), OTHER.verifier()])


def test_unknown_signatures_are_ignored():
    """A key that shares a name or an id with a known one, but not both, counts for nothing."""
    same_name = Signature(KEY.name, b"\0\0\0\0", bytes(64))
    same_id = Signature("example.com/else", KEY.verifier().key_id, bytes(64))
    note = _note(same_name, same_id, KEY.signed(TEXT))
    assert verified(note, [KEY.verifier()]) == [KEY.verifier()]
    assert verified(_note(same_name, same_id), [KEY.verifier()]) == []


def test_sixteen_signatures_are_read():
    """A note may have at least sixteen signatures, and not as many as somebody likes."""
    lines = [Signature(f"w{at}", b"\0\0\0\0", b"x") for at in range(16)]
    assert len(Note.parsed(str(_note(*lines))).signatures) == 16
    with pytest.raises(CheckpointInvalid):
        Note.parsed(str(_note(*lines * 10)))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name AAAAAAA=",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n—  AAAAAAA=\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n— na\u00a0me AAAAAAA=\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAA\n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n— name AAAAAAA= \n",
        "te\txt\n\n— name AAAAAAA=\n",
        "te\rxt\n\n— name AAAAAAA=\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAA=\n",
        "text\n\n— name AAAAAAA=\nmore\n",
    ],
)
def test_what_is_no_note_is_refused(note):
    """Each rule of the format that is broken refuses the whole note."""
    with pytest.raises(CheckpointInvalid):
        Note.parsed(note)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("+AekyeR", "+BekyeR"),
        VKEY[:-4],
        VKEY.replace("example.com/foo", "example.com/ foo"),
        VKEY.replace("example.com/foo", ""),
        "a+" + key_id("a", 2, bytes(32)).hex() + "+" + base64.b64encode(b"\2" + bytes(32)).decode(),
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey):
    """A key with another id, of another kind or another length is not taken."""
    with pytest.raises(CheckpointInvalid):
        VerifierKey.parsed(vkey)


def test_a_cosignature_states_its_moment():
    """A witness signs the text with a moment, under an id of its own; its key verifies both."""
    signature = KEY.cosigned(TEXT, 1_679_315_147)
    witness = KEY.verifier(COSIGNATURE)
    assert cosigned_at(signature) == 1_679_315_147
    assert VerifierKey.parsed(str(witness)) == witness
    assert verified(_note(signature), [witness, KEY.verifier()]) == [witness]
    later = Signature(signature.name, signature.key_id, (7).to_bytes(8, "big") + signature.data[8:])
    with pytest.raises(CheckpointInvalid):
        verified(_note(later), [witness])
    endless = Signature(signature.name, signature.key_id, b"\xff" * 8 + signature.data[8:])
    with pytest.raises(CheckpointInvalid):
        verified(_note(endless), [witness])


def test_a_signing_key_does_not_show_itself():
    """The private half stands in no representation."""
    assert repr(KEY) == "SigningKey('example.com/log', ***)"


def test_a_signature_is_added_once():
    """Signing again adds nothing to a note."""
    note = _note(KEY.signed(TEXT)).signed_by(KEY.signed(TEXT), OTHER.signed(TEXT))
    assert verified(note, [KEY.verifier(), OTHER.verifier()]) == [KEY.verifier(), OTHER.verifier()]
    assert len(note.signatures) == 2


def _key(public):
    try:
        return VerifierKey("v", ED25519, public)
    except CheckpointInvalid:
        return None


def test_keys_that_libraries_disagree_on_are_refused():
    """Of 914 edge cases the library takes 208; 172 of them are strict, and ours none but such."""
    vectors = json.loads(VECTORS.read_text("utf-8"))
    library = [each for each in vectors if _library(each)]
    strict = [each for each in library if "non_canonical_A" not in (each["flags"] or [])]
    ours = [
        each
        for each in vectors
        if (key := _key(bytes.fromhex(each["key"]))) is not None
        and key.is_valid(Signature("v", key.key_id, bytes.fromhex(each["sig"])), each["msg"])
    ]
    assert (len(vectors), len(library), len(strict)) == (914, 208, 172)
    assert ours == [each for each in strict if "low_order_A" not in (each["flags"] or [])]
    assert len(ours) > 0


def _library(vector):
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(vector["key"]))
        key.verify(bytes.fromhex(vector["sig"]), vector["msg"].encode())
    except (InvalidSignature, ValueError):
        return False
    return True
