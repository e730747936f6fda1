"""The verifier as an auditor runs it: alone, on folders, packages and addresses."""

import base64
import functools
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import zipfile
from typing import Any

import pytest
import rfc8785

from tests.verifier.building import (
    ORIGIN,
    VERIFIER,
    checkpoint,
    files_of,
    note,
    path,
    reference,
    root_of,
    signer,
    told,
    verifier,
    written,
)

PINNED = ("--vkey", signer().vkey)


@pytest.fixture
def log(tmp_path):
    """The folder of a log."""
    return written(files_of(told(2), 5), tmp_path / "log")


def test_it_runs_alone(log):
    """Python without site-packages is enough: one file, and the verdict as text."""
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(log), *PINNED]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"{log}: clean"


def _told(capsys, *arguments):
    code = verifier.main([*map(str, arguments), "--json"])
    told_ = json.loads(capsys.readouterr().out)
    assert told_["exit_code"] == code
    return told_


def test_the_report_as_one_object(log, capsys):
    """All checks with their results, the log and the first failing event are one JSON object."""
    told_ = _told(capsys, log, *PINNED)
    assert [each["id"] for each in told_["checks"]] == list(verifier.CHECKS)
    assert told_["logs"][0]["size"] == 9
    assert told_["first_failing_event"] is None
    bundle = log / path("entries", 0, 9)
    bundle.write_bytes(bundle.read_bytes().replace(b"approve", b"Approve", 1))
    told_ = _told(capsys, log, *PINNED)
    assert told_["exit_code"] == 1
    assert told_["first_failing_event"] == {
        "check": "V05",
        "result": "fail",
        "what": "the entry does not hash to its place in the tile",
        "log": ORIGIN,
        "index": 2,
        "stream": "run/" + reference("run", 1),
        "seq": 2,
        "id": "01990a3c-5b1e-7c40-8f2a-000000000003",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{log}"],
        ["{log}", "--vkey", "nothing"],
        ["{log}", "--vkey"],
        ["{log}", "--policy", "nowhere"],
        ["{log}", "--policy", "{log}/checkpoint"],
        ["{log}", "--untrusted", "--vkey", "x"],
        ["{log}", "--from-size", "x"],
        ["{log}", "--other"],
        ["{log}/tile", *PINNED],
        ["{log}", *PINNED, "--anchors", "nowhere"],
        ["{log}", *PINNED, "--state", "nowhere"],
        ["nowhere", *PINNED],
        ["http://127.0.0.1:9/audit", *PINNED],
    ],
)
def test_what_cannot_run_is_no_verdict(log, capsys, arguments):
    """Mistakes in arguments and unreadable input are exit code 3, in one sentence."""
    assert verifier.main([each.format(log=log) for each in arguments]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("newel_verify.py could not run: ")


def test_a_policy_file_and_anchors_are_read(log, tmp_path, capsys):
    """A policy file pins keys, and a folder of kept checkpoints is compared."""
    policy = tmp_path / "policy"
    policy.write_text(f"log {signer().vkey}\nquorum none\n")
    kept = tmp_path / "kept"
    kept.mkdir()
    arguments = (log, "--policy", policy, "--anchors", kept)
    assert _told(capsys, *arguments)["exit_code"] == 2
    (kept / "checkpoint.7").write_bytes(checkpoint(told(2).hashes(), 7))
    assert _told(capsys, *arguments)["exit_code"] == 0
    (kept / "checkpoint.8").write_bytes(checkpoint([], 8, root=bytes(32)))
    assert _told(capsys, *arguments)["exit_code"] == 1
    (kept / "checkpoint.8").write_bytes(b"torn")
    assert _told(capsys, *arguments)["exit_code"] == 1
    elsewhere = signer("other.example/log", 5)
    (kept / "checkpoint.8").write_bytes(checkpoint([], 8, elsewhere, origin=elsewhere.name))
    assert _told(capsys, *arguments)["exit_code"] == 2


def test_state_is_compared(log, tmp_path, capsys):
    """Rows that were read from the database are compared with what the log leads to."""
    rows = [{"run": reference("run", n), "state": "completed", "seq": 4} for n in (1, 2)]
    rows += [{"grant": reference("grt", n), "state": "active"} for n in (1, 2)]
    state = tmp_path / "state.jsonl"
    state.write_text("\n".join(map(json.dumps, rows)))
    assert _told(capsys, log, *PINNED, "--state", state)["exit_code"] == 0
    state.write_text(state.read_text().replace("completed", "failed", 1))
    told_ = _told(capsys, log, *PINNED, "--state", state)
    assert told_["exit_code"] == 1
    assert reference("run", 1) in told_["findings"][0]["what"]


def test_numbered_log_epochs_are_found(tmp_path, capsys):
    """A folder of numbered folders is a log with its log epochs."""
    written(files_of(told(1)), tmp_path / "1")
    assert _told(capsys, tmp_path, *PINNED)["logs"][0]["origin"] == ORIGIN


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        """Serve a file to whoever has the key, and remember what was asked for."""
        self.asked.append(self.path)
        if self.headers.get("Authorization") != "Bearer sesame":
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, format, *args):  # noqa: A002  # the name in the standard library
        """Say nothing."""


@pytest.fixture
def served(log):
    """The address of the log, behind an API key."""
    handler = functools.partial(_Quiet, directory=str(log))
    _Quiet.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("suffix", ["", "/", "/checkpoint"])
def test_a_served_log_verifies(served, tmp_path, capsys, suffix):
    """The log under an address is read as tile clients do, with the key from a file."""
    key = tmp_path / "key"
    key.write_text("sesame\n")
    told_ = _told(capsys, served + suffix, *PINNED, "--key-file", key)
    assert (told_["exit_code"], told_["findings"]) == (0, [])
    assert _Quiet.asked == [
        "/checkpoint",
        "/tile/entries/000.p/9",
        "/tile/0/000.p/9",
        "/tile/entries/000.p/9",
    ]
    assert verifier.main([served, *PINNED]) == 3


class _Away(http.server.BaseHTTPRequestHandler):
    there: str

    def do_GET(self):
        """Send whoever asks elsewhere."""
        self.send_response(302)
        self.send_header("Location", self.there + self.path)
        self.end_headers()

    def log_message(self, format, *args):  # noqa: A002  # the name in the standard library
        """Say nothing."""


def test_the_key_goes_to_no_other_server(served, tmp_path):
    """A server that sends elsewhere does not hand the API key on."""
    (tmp_path / "key").write_text("sesame\n")
    _Away.there = served
    with http.server.HTTPServer(("127.0.0.1", 0), _Away) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert verifier.main([address, *PINNED, "--key-file", str(tmp_path / "key")]) == 3
        finally:
            server.shutdown()
            thread.join()


# --------------------------------------------------------------------------- packages


def _package(**changed):
    """Build the files of an evidence package, as the design describes them."""
    story = told(2)
    hashes = story.hashes()
    root = base64.b64encode(root_of(hashes)).decode()
    files = {f"log/{name}": data for name, data in files_of(story).items()}
    files["log/checkpoints/5"] = checkpoint(hashes, 5)
    files["anchors/directory/checkpoint.7"] = checkpoint(hashes, 7)
    listed = [
        {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(files.items())
    ]
    manifest: dict[str, Any] = {"schema": 1, "files": listed}
    files["manifest.json"] = rfc8785.dumps(manifest) + b"\n"
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    files["receipt.json"] = rfc8785.dumps({"manifest_sha256": digest}) + b"\n"
    for name, suffix in (("manifest", "evidence"), ("receipt", "receipt")):
        digest = hashlib.sha256(files[f"{name}.json"]).hexdigest()
        files[f"{name}.note"] = note(f"{ORIGIN}/{suffix}\n{digest}\n{root}\n", signer())
    return _summed(files) | changed


def _summed(files):
    bound = {name for name in files if not name.startswith("receipt.")} - {"SHA256SUMS"}
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(bound)]
    return files | {"SHA256SUMS": "".join(lines).encode()}


def _zipped(files, target):
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            archive.writestr(name, files[name])
    return target


def test_a_package_verifies_as_zip_and_as_folder(tmp_path, capsys):
    """Files, notes, log and anchors of a package are checked, from the zip or its folder."""
    for each in (
        _zipped(_package(), tmp_path / "evidence.zip"),
        written(_package(), tmp_path / "evidence"),
    ):
        told_ = _told(capsys, each, *PINNED)
        assert (told_["exit_code"], told_["findings"]) == (0, [])
        assert _told(capsys, each, "--untrusted")["exit_code"] == 2


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        (lambda files: files | {"log/more": b"x"}, "V01"),
        (lambda files: _summed(files | {"log/more": b"x"}), "V01"),
        (lambda files: {k: v for k, v in files.items() if k != "log/checkpoints/5"}, "V01"),
        (lambda files: {k: v for k, v in files.items() if k != "SHA256SUMS"}, "V01"),
        (lambda files: files | {"SHA256SUMS": files["SHA256SUMS"] + b"x\n"}, "V01"),
        (lambda files: files | {"log/checkpoints/5": files["log/checkpoint"]}, "V01"),
        (lambda files: files | {"manifest.json": files["manifest.json"][:-1]}, "V01"),
        (lambda files: {k: v for k, v in files.items() if k != "receipt.note"}, "V02"),
        (lambda files: files | {"receipt.json": b"{}\n"}, "V02"),
        (lambda files: _summed(files | {"manifest.note": note("x\n", signer())}), "V02"),
        (
            lambda files: _summed(
                files
                | {
                    "manifest.note": note(
                        files["manifest.note"].decode().partition("\n\n")[0] + "\n",
                        signer(ORIGIN, 9),
                    )
                }
            ),
            "V02",
        ),
        (
            lambda files: (
                files | {"receipt.note": files["receipt.note"].replace(b"\n\n", b"x\n\n", 1)}
            ),
            "V02",
        ),
        (lambda files: files | {"anchors/directory/checkpoint.7": b"torn"}, "V08"),
    ],
)
def test_a_package_that_was_changed_is_refused(tmp_path, capsys, changed, check):
    """What is added, missing, changed, or signed by somebody else is named by its check."""
    package = _zipped(changed(_package()), tmp_path / "evidence.zip")
    told_ = _told(capsys, package, *PINNED)
    assert told_["exit_code"] == 1
    assert {each["id"]: each["result"] for each in told_["checks"]}[check] == "fail"


def test_tables_without_a_period_are_refused(tmp_path, capsys):
    """A table is made for a period: a manifest that does not say which is never called clean."""
    files = _package()
    manifest = json.loads(files["manifest.json"])
    files["access_grants.csv"] = b"row_id\r\n"
    digest = hashlib.sha256(files["access_grants.csv"]).hexdigest()
    manifest["files"].append({"path": "access_grants.csv", "sha256": digest})
    files["manifest.json"] = rfc8785.dumps(manifest) + b"\n"
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    text = files["manifest.note"].decode().partition("\n\n")[0].split("\n")
    files["manifest.note"] = note(f"{text[0]}\n{digest}\n{text[2]}\n", signer())
    package = _zipped(_summed(files), tmp_path / "evidence.zip")
    told_ = _told(capsys, package, *PINNED)
    assert (told_["exit_code"], told_["findings"][0]["check"]) == (1, "V16")


def test_a_proof_file_verifies(tmp_path, capsys):
    """One event's proof is a file of its own."""
    story = told(1)
    raw = b"c2sp.org/tlog-proof@v1\nextra " + base64.b64encode(story.entries[0])
    hashes = story.hashes()[:1]
    proof = tmp_path / "event.tlog-proof"
    proof.write_bytes(raw + b"\nindex 0\n\n" + checkpoint(hashes, 1))
    assert _told(capsys, proof, *PINNED)["exit_code"] == 0
