"""Notes, keys, checkpoints, policies and entries: what must be refused is refused."""

import base64
import hashlib
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.building import (
    ORIGIN,
    checkpoint,
    hash_of,
    note,
    path_of,
    policy_of,
    root_of,
    signer,
    told,
    verifier,
)

TEXT = f"{ORIGIN}\n1\n{'A' * 43}=\n"
LINE = signer().line(TEXT)
W1, W2, W3 = (signer(f"witness.example/{n}", n + 10, 4) for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xff\n\n" + LINE.encode(), "UTF-8"),
        (f"a\tb\n\n{LINE}".encode(), "control"),
        (f"{TEXT}{LINE}".encode(), "empty line"),
        (f"{TEXT}\n{LINE}".encode()[:-1], "lines of signatures"),
        (f"{TEXT}\n".encode(), "empty line|dash"),
        (f"{TEXT}\n{LINE}".replace("\u2014", "-").encode(), "dash"),
        (f"{TEXT}\n{LINE}".replace("\u2014 newel", "\u2014 new+el").encode(), "dash"),
        (f"{TEXT}\n\u2014 {ORIGIN} AAA=\n".encode(), "dash|base64"),
        (f"{TEXT}\n{LINE * 257}".encode(), "257"),
    ],
)
def test_what_is_no_note_is_refused(raw, why):
    """Each rule of the signed-note text refuses what breaks it."""
    with pytest.raises(verifier.Malformed, match=why):
        verifier.read_note(raw)


def test_a_note_may_hold_empty_lines_and_sixteen_signatures():
    """The last empty line separates text and signatures, and many signatures are read."""
    read = verifier.read_note(f"a\n\nb\n\n{LINE * 16}".encode())
    assert (read.text, len(read.signatures)) == ("a\n\nb\n", 16)


def test_base64_has_one_spelling():
    """Bits that decoding drops cannot be changed without notice."""
    good = LINE.rstrip("\n")
    assert good.endswith("=")
    other = good[:-2] + chr(ord(good[-2]) + 1) + "=\n"
    with pytest.raises(verifier.Malformed, match="spelling"):
        verifier.read_note(f"{TEXT}\n{other}".encode())


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n01\n{'A' * 43}=\n",
        f"{ORIGIN}\n-1\n{'A' * 43}=\n",
        f"{ORIGIN}\n+1\n{'A' * 43}=\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"\n1\n{'A' * 43}=\n",
        f"{ORIGIN}\n1\n{'A' * 43}=\n\nmore\n",
        f"{ORIGIN}/evidence\n{'a' * 64}\n{'A' * 43}=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    """Origin, size without leading nought, root of 32 bytes, no empty line; evidence is none."""
    with pytest.raises(verifier.Malformed):
        verifier.read_checkpoint(note(text, signer()), "x")


def test_extension_lines_are_signed_and_carried():
    """A checkpoint with more lines is read, and its signature covers them."""
    read = verifier.read_checkpoint(note(f"{TEXT}more\n", signer()), "x")
    assert verifier.signers(read.note, [verifier.read_key(signer().vkey)]) != []


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        f"+{signer().vkey.partition('+')[2]}",
        signer().vkey.replace("newel", "novel"),
        signer().vkey[:-4],
        "a b+00000000+AQAA",
        "x+0" * 3,
    ],
)
def test_what_is_no_key_is_refused(vkey):
    """A key has a name without spaces, the id that belongs to it, and a point."""
    with pytest.raises(verifier.Malformed):
        verifier.read_key(vkey)


def test_a_key_of_low_order_is_refused():
    """A point of low order signs anything: it is not pinned even with the right id."""
    material = bytes([1]) + b"\1" + bytes(31)
    id_ = hashlib.sha256(b"x\n" + material).hexdigest()[:8]
    with pytest.raises(verifier.Malformed, match="sound"):
        verifier.read_key(f"x+{id_}+{base64.b64encode(material).decode()}")


LOG = f"log {signer().vkey}"
WITNESSES = [f"witness W{n} {each.vkey}" for n, each in enumerate((W1, W2, W3), 1)]


@pytest.mark.parametrize(
    "lines",
    [
        [LOG],
        [LOG, "quorum nobody"],
        [LOG, "quorum none", "quorum none"],
        [LOG, LOG, "quorum none"],
        ["log x", "quorum none"],
        [f"log {W1.vkey}", "quorum none"],
        [f"witness W {signer().vkey}", "quorum none"],
        [WITNESSES[0], WITNESSES[0], "quorum W1"],
        [WITNESSES[0], WITNESSES[0].replace("W1", "W9", 1), "quorum W1"],
        [WITNESSES[0], "group G 2 W1", "quorum G"],
        [WITNESSES[0], "group G 0 W1", "quorum G"],
        [WITNESSES[0], "group G any", "quorum G"],
        [WITNESSES[0], "group G any W1 W1", "quorum G"],
        [WITNESSES[0], "group G any none", "quorum G"],
        [WITNESSES[0], "group none any W1", "quorum none"],
        [*WITNESSES[:2], "group G any W1 W2", "group H any W1", "quorum H"],
        ["group G any W1", WITNESSES[0], "quorum G"],
        [LOG, "quorum none extra"],
        [LOG, "quorum\x01none"],
        [LOG, "something else", "quorum none"],
        [LOG, "log", "quorum none"],
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused(lines):
    """Names are defined above and used once, keys fit their use, and there is one quorum."""
    with pytest.raises(verifier.Malformed):
        policy_of(*lines)


@pytest.mark.parametrize(
    ("quorum", "by", "is_enough"),
    [
        ("quorum none", (), True),
        ("quorum W1", (W1,), True),
        ("quorum W1", (W2, W3), False),
        ("group G 2 W1 W2 W3\nquorum G", (W1,), False),
        ("group G 2 W1 W2 W3\nquorum G", (W1, W3), True),
        ("group G all W1 W2\ngroup H any G W3\nquorum H", (W1, W2), True),
        ("group G all W1 W2\ngroup H any G W3\nquorum H", (W1,), False),
        ("group G all W1 W2\ngroup H any G W3\nquorum H", (W3,), True),
    ],
)
def test_a_quorum_counts_witnesses_by_their_groups(quorum, by, is_enough):
    """Any, all and a number of members are counted, groups inside groups too."""
    policy = policy_of("# who\n", LOG + " https://log.example/", *WITNESSES, quorum)
    read = verifier.read_checkpoint(checkpoint([], 0, signer(), *by), "x")
    assert policy.is_satisfied(read.note) is is_enough


def test_a_cosignature_covers_its_time():
    """The time a witness gives is signed, too: another one is a wrong signature."""
    text = checkpoint([], 0, signer()).decode().partition("\n\n")[0] + "\n"
    line = W1.line(text)
    blob = bytearray(verifier._base64(line.split()[2]))
    blob[11] ^= 1
    forged = f"{text}\n\u2014 {W1.name} {base64.b64encode(blob).decode()}\n"
    with pytest.raises(verifier.Malformed, match="wrong"):
        verifier.signers(verifier.read_note(forged.encode()), [verifier.read_key(W1.vkey)])


ENTRY = json.loads(told(1).entries[3])


def _changed(**members):
    return rfc8785.dumps({**ENTRY, **members})


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (b"{", "bytes"),
        (b"{{", "JSON"),
        (b"{}", "`v`"),
        (b"[]", "object"),
        (b"12", "object"),
        (json.dumps(ENTRY).encode(), "canonical"),
        (_changed(data={}), "lacks"),
        (_changed(v=2), "version"),
        (_changed(seq=0), "prev"),
        (_changed(prev=""), "prev"),
        (_changed(seq=True), "`seq`"),
        (_changed(id="1"), "`id`"),
        (_changed(stream="run/a b"), "`stream`"),
        (_changed(stream="admin"), "another kind"),
        (_changed(type="granted"), "`type`"),
        (_changed(occurred_at="2026-01-05T07:00:04Z"), "occurred_at"),
        (_changed(occurred_at="2026-13-05T07:00:04.000000Z"), "occurred_at"),
        (_changed(actor={}), "actor"),
        (_changed(subject="jane"), "subject"),
        (_changed(subject=7), "`subject`"),
        (_changed(run_state="sleeping"), "run_state"),
        (_changed(trace_id="xyz"), "trace_id"),
        (_changed(reason={}), "reason"),
        (_changed(process={"name": "x"}), "process"),
        (_changed(step={}), "step"),
        (_changed(data={**ENTRY["data"], "changed": 1}), "data.changed"),
        (_changed(data={**ENTRY["data"], "more": {"a": {"b": {"c": {"d": {}}}}}}), "levels"),
        (_changed(data={**ENTRY["data"], "more": "\0"}), "0000"),
        (_changed(data={**ENTRY["data"], "n\u00e4me": 1}), "ASCII"),
        (_changed(more="x" * 32768), "bytes"),
        (_changed(more=1.5), "whole"),
        (_changed(more=1).replace(b'"more":1', b'"more":9007199254740992'), "2\\^53"),
        (_changed(more=1).replace(b'"more":1', b'"more":-0'), "canonical"),
        (_changed(more=1).replace(b'"more":1', b'"more":1e0'), "whole"),
        (_changed(more=1).replace(b'"more":1', b'"more":NaN'), "whole"),
        (_changed(more="A").replace(b'"more":"A"', b'"more":"\\u0041"'), "canonical"),
        (_changed(more="A").replace(b'"more":"A"', b'"more":"\\ud800"'), "surrogate"),
        (_changed(more="A").replace(b'"more":"A"', b'"more":"\xff"'), "JSON"),
        (_changed(more=1).replace(b'"more":1', b'"more":1,"more":1'), "canonical"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(entry, why):
    """Form, envelope, model and limits of an entry are checked from its bytes alone."""
    with pytest.raises(verifier.Malformed, match=why):
        verifier.read_entry(entry)


@pytest.mark.parametrize(
    "entry",
    [
        _changed(),
        _changed(more={"later": "version"}),
        _changed(type="moon.landed", data={}),
        _changed(data={**ENTRY["data"], "later": 1}),
        _changed(more="\u20ac \U0001f600 \x7f \\u0000 \x01"),
        _changed(more="1,1234567890123456789"),
        _changed(more=2**53 - 1),
    ],
)
def test_what_a_later_version_may_write_is_accepted(entry):
    """Unknown types and members, other scripts and escapes are no errors."""
    assert verifier.read_entry(entry) == json.loads(entry)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8", min_codepoint=1)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(min_codepoint=1, max_codepoint=127)), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(values)
def test_the_reader_agrees_with_another_encoder(value):
    """What `rfc8785` writes of a leaf's part of JSON is accepted as canonical."""
    assert verifier.read_json(rfc8785.dumps(value), depth=99) == value


@given(st.integers(1, 40), st.data())
def test_proofs_by_definition_are_accepted(size, data):
    """A proof made by the recursion of RFC 6962 leads to the root, and to no other."""
    hashes = [hash_of(b"%d" % number) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof = path_of(index, hashes)
    assert verifier.inclusion_root(index, size, hashes[index], proof) == root_of(hashes)
    assert verifier.tree_root(hashes) == root_of(hashes)
    assert verifier.inclusion_root(index, size, hash_of(b"x"), proof) != root_of(hashes)
