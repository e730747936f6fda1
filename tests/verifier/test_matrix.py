"""The tamper matrix: what somebody with the database and more can do, and what finds it.

Rows that need a database (T06, T10 to T14, T16) are tests of `newel audit verify`; rows on the
files of a package that only its maker can judge (T20, T21, T23) belong to the package.
Source: our own audit document §10.
"""

import copy
import json

import pytest
import rfc8785

from tests.verifier.building import (
    ORIGIN,
    Story,
    checkpoint,
    failed,
    files_of,
    hash_of,
    policy_of,
    reference,
    signer,
    tiles,
    told,
    undecided,
    verified,
)

ANCHORED = 9
RUN = "run/" + reference("run", 2)


@pytest.fixture
def story():
    """Two onboardings; everything is anchored."""
    return told(2)


@pytest.fixture
def anchor(story):
    """The checkpoint that the auditor has in a drawer."""
    return checkpoint(story.hashes(), ANCHORED)


def _resealed(entries, *old):
    """Make tiles over changed entries, beside the checkpoints that were signed before."""
    return (
        tiles(entries)
        | {f"checkpoint.{size}": raw for size, raw in old}
        | {"checkpoint": old[-1][1]}
    )


def _signed(story, *sizes):
    return [(size, checkpoint(story.hashes(), size)) for size in sizes]


def _forged(entry):
    """Change one thing in an entry, and keep it canonical."""
    leaf = json.loads(entry)
    leaf["actor"]["id"] = "lewen"
    return rfc8785.dumps(leaf)


def _stolen(entries):
    """Sign all anew with the stolen key: the log's own files then agree with each other."""
    told_again = Story(entries=entries)
    return files_of(told_again, 5)


def test_t01_one_byte_of_an_entry(story, anchor):
    """T01: one changed byte is found by tile and root, and the event is named."""
    files = files_of(story, 5)
    name = next(each for each in files if "entries" in each)
    at = files[name].index(b"approve")
    files[name] = files[name][:at] + b"A" + files[name][at + 1 :]
    report = verified(files, anchor)
    assert report.code() == 1
    assert {"V05", "V06"} <= failed(report)
    assert (report.first["index"], report.first["seq"]) == (2, 2)


def test_t02_an_entry_and_its_tiles(story, anchor):
    """T02: entry and tiles changed together do not lead to the signed roots."""
    entries = [*story.entries[:8], _forged(story.entries[8])]
    report = verified(_resealed(entries, *_signed(story, 5, 9)), anchor)
    assert (report.code(), failed(report)) == (1, {"V06", "V08"})
    assert "one of 5 to 8" in report.as_text()


def test_t03_all_signed_again_with_the_stolen_key(story, anchor):
    """T03: a log signed anew contradicts the anchor, and has no witness."""
    files = _stolen([*story.entries[:8], _forged(story.entries[8])])
    report = verified(files, anchor)
    assert (report.code(), failed(report)) == (1, {"V07", "V08"})
    witness = signer("witness.example/1", 11, 4)
    policy = policy_of(f"log {signer().vkey}", f"witness W {witness.vkey}", "quorum W")
    assert failed(verified(files, policy=policy)) == {"V09"}


def test_t04_a_leaf_is_deleted(story, anchor):
    """T04: without one leaf the roots differ and its stream has a gap."""
    entries = [*story.entries[:6], *story.entries[7:]]
    report = verified(_resealed(entries, *_signed(story, 5, 8)), anchor)
    assert report.code() == 1
    assert {"V06", "V10"} <= failed(report)


def test_t05_the_tail_is_cut(story, anchor):
    """T05: a log that ends before an anchor is found, however well it is signed."""
    short = Story(entries=story.entries[:7])
    report = verified(files_of(short, 5), anchor)
    assert (report.code(), failed(report)) == (1, {"V08"})
    assert "9 entries were anchored" in report.as_text()


def test_t07_a_back_dated_event(story, anchor):
    """T07: an event inserted with an earlier time is found by roots and by its stream."""
    late = copy.deepcopy(story)
    late.minute = 3
    late.add(RUN, "run.acknowledged", {})
    entries = [*story.entries, late.entries[-1]]
    report = verified(_resealed(entries, *_signed(story, 9)), anchor)
    assert report.code() == 0  # beyond the newest checkpoint nothing is vouched for
    files = _stolen(entries)
    assert failed(verified(files, anchor)) == {"V11"}
    files = _resealed([*entries[:8], entries[9], entries[8]], *_signed(story, 9))
    assert {"V06", "V10"} <= failed(verified(files, anchor))


def test_t08_two_leaves_change_places(story, anchor):
    """T08: swapped leaves lead to other roots and break their stream."""
    entries = list(story.entries)
    entries[6], entries[7] = entries[7], entries[6]
    report = verified(_resealed(entries, *_signed(story, 5, 9)), anchor)
    assert report.code() == 1
    assert {"V06", "V10"} <= failed(report)


def test_t09_a_leaf_twice(story, anchor):
    """T09: a repeated leaf is found by root, stream and id."""
    entries = [*story.entries[:7], story.entries[6], story.entries[7]]
    report = verified(_resealed(entries, *_signed(story, 5, 9)), anchor)
    assert report.code() == 1
    assert {"V06", "V10", "V12"} <= failed(report)


def test_t15_a_sealed_field_in_another_event(story, anchor):
    """T15: what was sealed for one event and stands in another changes the root."""
    entries = list(story.entries)
    for at in (2, 6):
        leaf = json.loads(entries[at])
        leaf["data"]["comment"] = {"enc": "A256GCM", "kid": "k", "iv": str(at), "ct": "c"}
        entries[at] = rfc8785.dumps(leaf)
    sealed = Story(entries=entries)
    moved = json.loads(entries[6])
    moved["data"]["comment"] = json.loads(entries[2])["data"]["comment"]
    forged = [*entries[:6], rfc8785.dumps(moved), *entries[7:]]
    report = verified(_resealed(forged, *_signed(sealed, 5, 9)))
    assert report.code() == 1
    assert "V06" in failed(report)


def test_t17_two_logs_under_one_origin(story, anchor):
    """T17: two histories signed under one origin contradict each other by their roots."""
    other = told(2)
    other.entries[8] = _forged(other.entries[8])
    files = files_of(story) | {"checkpoint.9": checkpoint(other.hashes(), 9)}
    report = verified(files, anchor)
    assert (report.code(), failed(report)) == (1, {"V06", "V07"})
    assert failed(verified(files_of(story), checkpoint(other.hashes(), 9))) == {"V07", "V08"}


def test_t18_an_approval_after_the_grant_it_allows(story):
    """T18: a grant that rests on a later event, on none, or on another's hash is found."""
    forged = told(1)
    grant = json.loads(story.entries[7])
    approval = {"kind": "approval", "approver": reference("per", 4)}
    for authority, why in (
        ({"event": "01990a3c-5b1e-7c40-8f2a-000000000008", "leaf_hash": "00" * 32}, "later"),
        ({"event": "01990a3c-5b1e-7c40-8f2a-00000000ffff", "leaf_hash": "00" * 32}, "not exist"),
        ({"event": "01990a3c-5b1e-7c40-8f2a-000000000003", "leaf_hash": "00" * 32}, "hash"),
        ({"event": "nothing", "leaf_hash": "00" * 32}, "no id"),
    ):
        late = copy.deepcopy(forged)
        stream = "run/" + reference("run", 3)
        late.add(
            stream, "run.started", json.loads(story.entries[1])["data"], process=grant["process"]
        )
        data = grant["data"] | {"authority": approval | authority}
        late.add(stream, "access.granted", data, process=grant["process"], step=grant["step"])
        late.add(stream, "run.acknowledged", {})
        report = verified(files_of(late))
        assert (report.code(), failed(report)) == (1, {"V12"})
        assert why in report.as_text()


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda entry: entry.replace(b'"v":1', b'"v": 1'),
        lambda entry: b'{"v":1,' + entry[1:].replace(b',"v":1}', b"}"),
        lambda entry: entry.replace(b'"v":1', b'"v":1,"v":1'),
        lambda entry: entry.replace(b"newel", b"n\\u0065wel", 1),
    ],
)
def test_t19_equal_json_in_other_bytes(story, rewritten):
    """T19: spaces, key order, doubled keys and other escapes are found even if signed."""
    entry = rewritten(story.entries[8])
    assert json.loads(entry) == json.loads(story.entries[8])
    report = verified(files_of(Story(entries=[*story.entries[:8], entry])))
    assert (report.code(), failed(report)) == (1, {"V04"})
    assert (report.first["index"], report.first["stream"]) == (8, RUN)


def test_t22_signed_with_another_key(story, anchor):
    """T22: a log by another key fails under the pinned one, and is incomplete if nobody is."""
    files = files_of(story, 5, by=(signer(ORIGIN, 9),))
    report = verified(files)
    assert (report.code(), failed(report)) == (1, {"V03"})
    assert verified(files, policy=None).code() == 2
    other = signer("other.example/log", 9)
    hashes = story.hashes()
    renamed = tiles(story.entries) | {"checkpoint": checkpoint(hashes, 9, other, origin=other.name)}
    assert failed(verified(renamed)) >= {"V03"}


def test_t24_all_checkpoints_removed(story, anchor):
    """T24: without checkpoints an anchor convicts, and without anchors nothing is decided."""
    files = tiles(story.entries)
    report = verified(files, anchor)
    assert (report.code(), failed(report)) == (1, {"V08"})
    report = verified(files)
    assert (report.code(), undecided(report)) == (2, {"V03"})


def test_t25_an_untouched_log(story, anchor):
    """T25: what nobody touched is clean, with its anchors, and says so without findings."""
    report = verified(files_of(story, 5), anchor)
    assert (report.code(), report.findings) == (0, [])


def test_a_cut_with_the_old_hash_is_no_way_out(story, anchor):
    """An entry replaced while its old hash stays in the tile is named by the tile."""
    files = files_of(story, 5)
    forged = tiles([*story.entries[:8], _forged(story.entries[8])])
    name = next(each for each in files if "entries" in each)
    files[name] = forged[name]
    report = verified(files, anchor)
    assert report.first["index"] == 8
    assert hash_of(story.entries[8]) in files[next(each for each in files if "tile/0" in each)]
