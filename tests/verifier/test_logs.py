"""Whole logs: those of any size are accepted, and what is not there is said."""

import base64
import hashlib
import json

import pytest

from tests.verifier.building import (
    ORIGIN,
    PINNED,
    PROCESS,
    Files,
    Story,
    checkpoint,
    failed,
    files_of,
    hash_of,
    note,
    path,
    path_of,
    policy_of,
    reference,
    root_of,
    signer,
    tiles,
    told,
    undecided,
    verified,
    verifier,
)


@pytest.fixture(scope="module")
def many():
    """Seventy thousand entries of a few bytes, and their hashes."""
    entries = [b"%d" % number for number in range(70_000)]
    return entries, [hash_of(each) for each in entries]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 70_000])
def test_a_log_of_any_size_verifies(many, size):
    """Logs without a tile, with full and partial tiles of three levels are accepted.

    Slow for the largest: the tree is built by its definition.
    """
    entries, hashes = many[0][:size], many[1][:size]
    files = {**tiles(entries), "checkpoint": checkpoint(hashes, size)}
    for earlier in {1, 256, 300, 65_536} & set(range(size)):
        files[f"checkpoint.{earlier}"] = checkpoint(hashes, earlier)
    report = verified(files, is_opaque=True)
    assert (report.code(), report.findings) == (0, [])
    if size == 70_000:
        assert {path("0", 272), path("0", 273, 112), path("1", 1, 17), path("2", 0, 1)} <= set(
            files
        )


@pytest.mark.parametrize("name", [path("1", 0), path("1", 1, 17), path("2", 0, 1)])
def test_tiles_above_the_leaves_are_compared(many, name):
    """A hash changed in a tile of a higher level is found, though no root was taken from it."""
    entries, hashes = many
    files = {**tiles(entries), "checkpoint": checkpoint(hashes, 70_000)}
    files[name] = bytes(32) + files[name][32:]
    report = verified(files, is_opaque=True)
    assert (report.code(), failed(report)) == (1, {"V05"})


def test_a_log_that_tells_of_onboardings_is_clean():
    """An untouched log with earlier checkpoints passes every check that was made."""
    story = told(80)
    report = verified(files_of(story, 1, 5, 256, 300), checkpoint(story.hashes(), 100))
    assert (report.code(), report.findings) == (0, [])
    assert set(report.results) == {f"V{n:02d}" for n in (3, 4, 5, 6, 7, 8, 10, 11, 12, 15)}
    assert report.logs == [
        {
            "origin": ORIGIN,
            "size": 321,
            "root": checkpoint(story.hashes(), 321).decode().split("\n")[2],
            "checkpoints": 5,
            "anchors": 1,
        }
    ]


def test_partial_tiles_of_earlier_sizes_are_compared():
    """A log serves its old partial tiles; one that differs from the full history is found."""
    story = told(80)
    files = files_of(story) | {
        path("0", 0, 9): b"".join(story.hashes()[:9]),
        path("1", 0, 1): root_of(story.hashes()[:256]),
        path("entries", 0, 9): tiles(story.entries[:9])[path("entries", 0, 9)],
    }
    assert verified(files).code() == 0
    for name in (path("0", 0, 9), path("entries", 0, 9)):
        longer = files | {name: files[name] + b"x"}
        changed = files | {name: b"x" + files[name][1:]}
        assert failed(verified(longer)) == failed(verified(changed)) == {"V05"}


def test_a_wider_tile_serves_a_smaller_checkpoint():
    """The tree of a checkpoint is read from tiles that have grown since."""
    story = told(3)
    files = tiles(story.entries) | {"checkpoint": checkpoint(story.hashes(), 9)}
    assert verified(files).code() == 0


@pytest.mark.parametrize(
    ("gone", "checks"),
    [
        (path("entries", 0), {"V04"}),
        (path("0", 0), {"V05"}),
        (path("1", 0, 1), {"V05"}),
    ],
)
def test_what_is_absent_is_undecided(gone, checks):
    """A log without some entries or tiles is incomplete, and nothing contradicts."""
    files = files_of(told(80))
    del files[gone]
    report = verified(files)
    assert (report.code(), undecided(report)) == (2, checks)


def test_a_tree_that_ends_early_is_undecided():
    """Where neither entries nor hashes are there, no root can be made from there on."""
    files = files_of(told(80), 9)
    del files[path("entries", 1, 65)], files[path("0", 1, 65)]
    report = verified(files)
    assert (report.code(), undecided(report)) == (2, {"V04", "V06"})


def test_a_gap_in_the_middle_is_undecided():
    """Streams that go on after absent entries are not taken for broken ones."""
    story = told(160)
    files = files_of(story)
    del files[path("entries", 1)]
    report = verified(files)
    assert (report.code(), failed(report)) == (2, set())


def test_pruned_entries_are_as_announced():
    """Below the minimum index that the log itself tells, hashes are enough."""
    story = told(80)
    story.add("log", "log.pruned", {"min_index": 256}, subject=None)
    files = files_of(story)
    del files[path("entries", 0)]
    report = verified(files)
    assert (report.code(), report.results["V04"]) == (0, "warning")
    files = files_of(told(80))
    del files[path("entries", 0)]
    assert verified(files).code() == 2


def test_a_later_look_reads_only_what_is_new():
    """From an earlier verified size on entries are read; the hashes before still count."""
    story = told(80)
    files = files_of(story, 256)
    report = verified(files, start=256)
    assert failed(report) == set()
    files[path("entries", 0)] = b""
    assert failed(verified(files, start=256)) == set()
    files[path("0", 0)] = bytes(32) + files[path("0", 0)][32:]
    assert "V06" in failed(verified(files, start=256))


def test_an_unknown_type_is_undecided():
    """What a later version writes is valid bytes, and the verdict says what was not understood."""
    story = told(1)
    story.add("admin", "moon.landed", {"crater": "Tycho"})
    report = verified(files_of(story))
    assert (report.code(), undecided(report)) == (2, {"V04"})
    assert "moon.landed" in report.findings[0]["what"]


def test_a_stream_that_ran_backwards_in_time_is_found():
    """Time in a stream never decreases, whatever the hashes say."""
    story = told(1)
    story.minute -= 3
    story.add("run/" + reference("run", 1), "run.acknowledged", {})
    report = verified(files_of(story))
    assert (report.code(), failed(report)) == (1, {"V11"})
    assert report.first is not None
    assert (report.first["index"], report.first["seq"]) == (5, 5)


def test_nobody_believed_is_at_best_incomplete():
    """Without a pinned key all but signatures is checked."""
    files = files_of(told(1))
    report = verified(files, policy=None)
    assert (report.code(), undecided(report)) == (2, {"V03"})
    files["checkpoint"] = checkpoint([], 5, root=bytes(32))
    assert verified(files, policy=None).code() == 1


def test_a_quorum_of_witnesses_is_asked_for():
    """Cosigned is clean, cosigned up to an earlier size a warning, not cosigned a failure."""
    witness = signer("witness.example/1", 11, 4)
    policy = policy_of(f"log {signer().vkey}", f"witness W {witness.vkey}", "quorum W")
    story = told(1)
    by = (signer(), witness)
    assert verified(files_of(story, by=by), policy=policy).findings == []
    early = checkpoint(story.hashes(), 3, *by)
    report = verified(files_of(story), early, policy=policy)
    assert (report.code(), report.results["V09"]) == (0, "warning")
    report = verified(files_of(story), policy=policy)
    assert (report.code(), failed(report)) == (1, {"V09"})
    forged = (signer(), signer("witness.example/1", 12, 4))
    assert failed(verified(files_of(story, by=forged), policy=policy)) == {"V09"}


def test_a_wrong_cosignature_of_a_known_witness_is_found():
    """A known witness's line that does not verify condemns the checkpoint."""
    witness = signer("witness.example/1", 11, 4)
    policy = policy_of(f"log {signer().vkey}", f"witness W {witness.vkey}", "quorum W")
    story = told(1)
    files = files_of(story)
    other = checkpoint([], 5, witness, root=bytes(32)).decode().partition("\n\n")[2]
    files["checkpoint"] += other.encode()
    assert failed(verified(files, policy=policy)) == {"V09"}


# ------------------------------------------------------------------- epochs and keys

NEXT = ORIGIN[:-1] + "2"


def _next_epoch(old, kept, anchored, **said):
    """Tell of a log epoch that follows one that was rolled back to `kept`."""
    story = Story(heads=dict(old.heads), minute=old.minute)
    story.entries = [b""] * 500  # ids go on
    note_of = checkpoint(old.hashes(), anchored)
    opened = {
        "origin": NEXT,
        "previous_origin": ORIGIN,
        "previous_size": anchored,
        "previous_root": root_of(old.hashes()[:anchored]).hex(),
        "previous_note_sha256": hashlib.sha256(note_of).hexdigest(),
        "kept_size": kept,
        "lost_leaves": anchored - kept,
        "cause": "restore",
    } | said
    story.add("log", "log.epoch_opened", opened, subject=None)
    story.add("admin", "admin.key_revoked", {"key": "key_1"})
    story.entries = story.entries[500:]
    return story


def _as_files(story):
    hashes = story.hashes()
    files = tiles(story.entries)
    key = signer(NEXT, 1)
    files["checkpoint"] = checkpoint(hashes, len(hashes), key, origin=NEXT)
    return files


def test_log_epochs_follow_each_other():
    """A restored log goes on in a new log epoch, and streams go on across it."""
    old = told(2)
    report = verified(files_of(old), later=(_as_files(_next_epoch(old, 9, 9)),))
    assert (report.code(), report.findings) == (0, [])


def test_what_a_restore_lost_is_admitted_or_found():
    """Anchored entries that a restore lost are a warning if the next log epoch says so."""
    old, longer = told(2), told(3)
    anchor = checkpoint(longer.hashes(), 13)
    honest = _next_epoch(longer, 9, 13)
    honest.heads = {}
    story = _next_epoch(old, 9, 13, previous_note_sha256=hashlib.sha256(anchor).hexdigest())
    report = verified(files_of(old), anchor, later=(_as_files(story),))
    assert (report.code(), report.results["V08"]) == (0, "warning")
    silent = _next_epoch(old, 9, 9)
    report = verified(files_of(old), anchor, later=(_as_files(silent),))
    assert (report.code(), failed(report)) == (1, {"V08"})


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "other.example/audit/1/2"},
        {"previous_origin": "other.example/audit/1/1"},
        {"previous_root": "00" * 32},
    ],
)
def test_a_log_epoch_that_names_another_past_is_found(said):
    """Origin, previous origin and previous root are compared."""
    old = told(2)
    report = verified(files_of(old), later=(_as_files(_next_epoch(old, 9, 9, **said)),))
    assert (report.code(), failed(report)) == (1, {"V15"})


def test_a_log_epoch_alone_is_incomplete():
    """A later log epoch without the one before it cannot be followed to the beginning."""
    report = verified(_as_files(_next_epoch(told(2), 9, 9)))
    assert (report.code(), undecided(report)) == (2, {"V15"})


def test_a_second_log_that_does_not_say_it_follows_is_found():
    """Two logs side by side are one only if the second says so."""
    files = files_of(told(1))
    report = verified(files, later=(files,))
    assert {"V10", "V12"} < failed(report)
    assert "V15" in failed(report)


def _rotated(cause):
    story = told(1)
    new = signer(ORIGIN, 2)
    said = {"old_vkey": signer().vkey, "new_vkey": new.vkey, "cause": cause}
    story.add("log", "log.key_rotated", said, subject=None)
    at = len(story.entries)
    story.add("admin", "admin.key_revoked", {"key": "key_1"})
    return story, new, at


def test_a_key_that_was_handed_over_counts():
    """Checkpoints by the new key alone verify under the pinned old one, which sealed the change."""
    story, new, at = _rotated("planned")
    hashes = story.hashes()
    files = files_of(story, by=(new,)) | {f"checkpoint.{at}": checkpoint(hashes, at, signer(), new)}
    report = verified(files)
    assert failed(report) == set()
    del files[f"checkpoint.{at}"]
    assert failed(verified(files)) == {"V03"}


def test_a_compromised_key_counts_no_more():
    """After the change, a checkpoint by the given-up key alone is refused."""
    story, new, at = _rotated("compromised")
    files = files_of(story, 4, by=(signer(), new))
    assert failed(verified(files)) == set()
    files["checkpoint"] = checkpoint(story.hashes(), at + 1, signer())
    assert failed(verified(files)) == {"V15"}


# ----------------------------------------------------------------------------- proofs


def _proof(story, index, *by):
    hashes = story.hashes()
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {base64.b64encode(story.entries[index]).decode()}",
        f"index {index}",
        *(base64.b64encode(each).decode() for each in path_of(index, hashes)),
    ]
    return ("\n".join(lines) + "\n\n").encode() + checkpoint(hashes, len(hashes), *by)


def _proved(raw, policy=PINNED):
    report = verifier.Report("proof")
    verifier.verify_proof(raw, policy, report)
    return report


@pytest.mark.parametrize("index", range(9))
def test_one_event_is_proved_alone(index):
    """A proof file with the entry in it verifies offline against the pinned key."""
    assert _proved(_proof(told(2), index)).code() == 0


def test_a_proof_that_does_not_hold_is_refused():
    """Another entry, index, path, signature or form of a proof is found."""
    raw = _proof(told(2), 3)
    head, separator, tail = raw.partition(b"\n\n")
    lines = head.split(b"\n")
    other = _proof(told(2), 4).split(b"\n")
    for wrong in (
        [*lines[:1], other[1], *lines[2:]],
        [*lines[:2], b"index 4", *lines[3:]],
        [*lines[:2], b"index 99", *lines[3:]],
        [*lines[:2], b"index 03", *lines[3:]],
        lines[:-1],
        [*lines, lines[-1]],
        [*lines[:1], *lines[2:]],
    ):
        assert _proved(b"\n".join(wrong) + separator + tail).code() == 1
    assert _proved(raw, policy_of(f"log {signer(ORIGIN, 9).vkey}", "quorum none")).code() == 1
    assert _proved(raw, None).code() == 2
    assert _proved(b"nothing").code() == 1


def test_a_proof_needs_the_quorum_that_the_policy_asks_for():
    """A proof is judged by the same witnesses as a log."""
    witness = signer("witness.example/1", 11, 4)
    policy = policy_of(f"log {signer().vkey}", f"witness W {witness.vkey}", "quorum W")
    assert _proved(_proof(told(1), 2, signer(), witness), policy).code() == 0
    assert failed(_proved(_proof(told(1), 2), policy)) == {"V09"}


# ------------------------------------------------------------------------------ state


def _state(story, **changed):
    run = "run/" + reference("run", 1)
    seq, head = story.heads[run]
    row = {"run": reference("run", 1), "state": "completed", "version": 12, "seq": seq}
    rows = [row | {"head": head.hex()} | changed, {"grant": reference("grt", 1), "state": "active"}]
    return [json.dumps(each) for each in rows]


def _compared(story, lines):
    report = verified(files_of(story))
    verifier.compare_state(lines, report.facts, report)
    return report


def test_state_that_the_log_leads_to_is_clean():
    """Rows of runs and grants, by reference or UUID, equal what the log leads to."""
    story = told(1)
    assert _compared(story, _state(story)).code() == 0
    as_uuid = f"{1:032x}"
    as_uuid = "-".join([as_uuid[:8], as_uuid[8:12], as_uuid[12:16], as_uuid[16:20], as_uuid[20:]])
    assert _compared(story, _state(story, run=as_uuid)).code() == 0


@pytest.mark.parametrize(
    "changed", [{"state": "failed"}, {"version": 13}, {"head": "00" * 32}, {"seq": 3}]
)
def test_state_that_was_edited_behind_the_log_is_named(changed):
    """A run's state, version, head and count that no event made are found."""
    report = _compared(told(1), _state(told(1), **changed))
    assert (report.code(), failed(report)) == (1, {"V14"})
    assert reference("run", 1) in report.findings[0]["what"]


def test_a_grant_that_nobody_made_is_named():
    """A grant that is in the table and not in the log, or the other way round, is found."""
    story = told(1)
    lines = _state(story)
    more = [*lines, '{"grant": "grt_x", "state": "active"}']
    assert "grt_x is active, the log leads to nothing" in _compared(story, more).as_text()
    assert failed(_compared(story, lines[:1])) == {"V14"}


def test_events_that_are_not_sealed_yet_are_undecided():
    """A run ahead of the log is not judged, and the verdict says that something is open."""
    report = _compared(told(1), _state(told(1), seq=9, state="failed"))
    assert (report.code(), undecided(report)) == (2, {"V14"})


def test_a_package_note_is_no_checkpoint():
    """What seals a package cannot be taken for a tree head."""
    text = f"{ORIGIN}/evidence\n{'ab' * 32}\n{'A' * 43}=\n"
    files = files_of(told(1)) | {"checkpoint.9": note(text, signer())}
    assert failed(verified(files)) == {"V03"}
    assert Files(files).read("nothing") is None
    assert PROCESS["version"] == 12
