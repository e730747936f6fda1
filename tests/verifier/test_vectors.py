"""The verifier and the vectors that others published: each is judged as the standards say."""

import base64
import json

import pytest

from tests.verifier.building import VECTORS, Files, signer, verifier

PROOFS = VECTORS / "rfc6962-transparency-dev" / "testdata"
FOREIGN = VECTORS / "tessera-testlog"
JCS = VECTORS / "jcs-rfc8785" / "testdata"


def _decoded(text):
    return base64.b64decode(text or "")


def _is_accepted(judge, *arguments):
    try:
        return judge(*arguments) is not False
    except verifier.Malformed:
        return False


def test_signatures_with_odd_points_are_judged_strictly():
    """Of 914 edge cases of point encodings 172 verify, and none with a second spelling does."""
    vectors = json.loads((VECTORS / "ed25519-cctv/ed25519/ed25519vectors.json").read_text())
    accepted = [
        each
        for each in vectors
        if verifier.ed25519_verifies(
            bytes.fromhex(each["key"]), each["msg"].encode(), bytes.fromhex(each["sig"])
        )
    ]
    assert (len(vectors), len(accepted)) == (914, 172)
    assert not any("non_canonical" in str(each["flags"]) for each in accepted)


def test_keys_with_odd_points_are_refused_when_they_are_read():
    """Points of low order, second spellings and what is no point are not pinned as keys."""
    vectors = json.loads((VECTORS / "ed25519-cctv/ed25519/ed25519vectors.json").read_text())
    judged = {
        bytes.fromhex(each["key"]): not {"low_order_A", "non_canonical_A"}
        & set(each["flags"] or ())
        for each in vectors
    }
    assert {key: verifier.is_sound_key(key) for key in judged} == judged
    assert not verifier.is_sound_key(b"\2" + bytes(31))


def _includes(case):
    root = verifier.inclusion_root(
        case["leafIdx"],
        case["treeSize"],
        _decoded(case["leafHash"]),
        [_decoded(each) for each in case["proof"] or ()],
    )
    return root == _decoded(case["root"])


def _is_consistent(case):
    verifier.check_consistency(
        case["size1"],
        case["size2"],
        _decoded(case["root1"]),
        _decoded(case["root2"]),
        [_decoded(each) for each in case["proof"] or ()],
    )
    return True


@pytest.mark.parametrize(
    ("folder", "judge"), [("inclusion", _includes), ("consistency", _is_consistent)]
)
def test_proofs_are_judged_as_the_vectors_say(folder, judge):
    """Of 98 proofs 6 are accepted and 92 refused, each as its file says."""
    cases = [json.loads(path.read_text()) for path in sorted((PROOFS / folder).rglob("*.json"))]
    assert [_is_accepted(judge, case) for case in cases] == [not case["wantErr"] for case in cases]
    assert (len(cases), sum(not case["wantErr"] for case in cases)) == (98, 6)


def test_a_foreign_log_is_accepted(capsys):
    """The log of another program verifies: 17 checkpoints, tiles, bundles, one history."""
    log = FOREIGN / "testdata" / "log"
    key = (FOREIGN / "vkey.txt").read_text().strip()
    assert verifier.main([str(log), "--vkey", key, "--opaque", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["logs"][0]["checkpoints"] == 17
    assert (told["logs"][0]["size"], told["findings"]) == (15, [])


@pytest.mark.parametrize("name", ["checkpoint.7", "tile/0/000.p/15", "tile/entries/000.p/15"])
def test_a_tampered_foreign_log_is_refused(name):
    """One bit in a checkpoint, a tile or a bundle of the foreign log is found."""
    log = FOREIGN / "testdata" / "log"
    files = {
        path.relative_to(log).as_posix(): path.read_bytes()
        for path in log.rglob("*")
        if path.is_file()
    }
    files[name] = files[name][:40] + bytes([files[name][40] ^ 1]) + files[name][41:]
    policy = verifier.Policy()
    policy.logs.append(verifier.read_key((FOREIGN / "vkey.txt").read_text()))
    report = verifier.Report("foreign")
    verifier.verify_logs([("foreign", Files(files))], policy, [], report, is_opaque=True)
    assert report.code() == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("arrays", None),
        ("french", "ASCII"),
        ("structures", None),
        ("unicode", None),
        ("values", "whole"),
        ("weird", "canonical"),  # names beyond ASCII are sorted otherwise here
    ],
)
def test_canonical_json_is_accepted_as_far_as_leaves_use_it(name, why):
    """Of what RFC 8785 writes, floats and names beyond ASCII are refused; all inputs are."""
    output = (JCS / "output" / f"{name}.json").read_bytes()
    if why is None:
        assert verifier.read_json(output) == json.loads(output)
    else:
        with pytest.raises(verifier.Malformed, match=why):
            verifier.read_json(output)
    with pytest.raises(verifier.Malformed):
        verifier.read_json((JCS / "input" / f"{name}.json").read_bytes())


def test_the_checked_example_of_the_design_verifies():
    """The worked example, its leaf hash and the root of the small tree come out as written."""
    leaves = [verifier.leaf_hash(b'{"v":%d}' % number) for number in (1, 2, 3)]
    assert [leaf.hex()[:8] for leaf in leaves] == ["0fe7f04c", "ce573896", "02e75630"]
    root = "cZkfUkOflRH5zd8cJjWzurZDAek09ppG2hjJ0/0tiGY="
    assert base64.b64encode(verifier.tree_root(leaves)).decode() == root


SPEC_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi"
    "2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


def test_the_note_of_the_specification_verifies():
    """The example of the signed-note text is signed by the key beside it."""
    key = verifier.read_key(SPEC_KEY)
    note = verifier.read_note(SPEC_NOTE.encode())
    assert verifier.signers(note, [key]) == [key]
    with pytest.raises(verifier.Malformed):
        verifier.signers(note._replace(text="This is another message.\n"), [key])
    assert verifier.signers(note, [verifier.read_key(signer().vkey)]) == []
