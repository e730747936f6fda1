"""The repository: what is committed names no machine and no place that packages come from."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.reading import ROOT, committed, shown

LOCKS = ("requirements.lock", "requirements-dev.lock")
# Put together from pieces, so that this file does not name what it looks for.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("anaconda", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
    )
)
_MACHINE = re.compile(r"(?<![\w.$}~*-])/(?:work|root|home/\w+|Users/\w+|opt/(?:wheels|pypi))/")
_PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==(?P<version>[0-9][\w.+!-]*)"
    r"(?P<marker> ; [\w\s.<>=!'\"()]+)? \\"
)
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
# Contracts of vendors and test vectors are data of others, kept as they are.
_FOREIGN = ("tests/contract/specs/", "tests/vectors/")


def lock_errors(text: str) -> list[str]:
    """Return the lines of a lock that are neither a pin nor a hash, and pins without one."""
    lines = text.splitlines()
    odd = [line for line in lines if not (_PIN.fullmatch(line) or _HASH.fullmatch(line))]
    bare = [
        this
        for this, following in zip(lines, [*lines[1:], ""], strict=True)
        if _PIN.fullmatch(this) and not _HASH.fullmatch(following)
    ]
    return odd + bare


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_names_versions_markers_and_hashes(name):
    """Every line of a lock is a pinned name with its marker, or a sha256 hash."""
    assert lock_errors((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "# made with a tool",
        "--index-url=somewhere",
        "asyncpg>=0.30 \\",
        "asyncpg @ file:///wheels/asyncpg.whl",
        "    --hash=md5:0123",
        "    # via newel",
        "asyncpg==0.30 \\\nhttpx==1 \\",
    ],
)
def test_anything_else_in_a_lock_is_refused(line):
    """Comments, options, addresses, ranges and weak hashes are found."""
    assert lock_errors(f"{line}\n") != []


def test_the_locks_agree():
    """No package is pinned to two versions, and the product's needs are all pinned."""
    pins: dict[str, set[str]] = {}
    for name in LOCKS:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if (match := _PIN.fullmatch(line)) is not None:
                pins.setdefault(match["name"], set()).add(match["version"])
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=!~ ;]", need)[0].lower() for need in needed}
    assert names - set(pins) == set()


def test_no_committed_file_names_a_registry():
    """The address a package came from belongs to the machine, not to the project."""
    assert _mentions(re.compile("|".join(map(re.escape, HOSTS)))) == []


def test_no_committed_file_names_a_path_of_a_machine():
    """Nobody's folders are written into the project."""
    assert _mentions(_MACHINE) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("cd {0}work/main", True),
        ('open("{0}root/.ssh/id")', True),
        ("https://example.com{0}work/tasks", False),
        ("{0}home/jane/newel", True),
        ("see docs{0}work/", False),
    ],
)
def test_paths_of_a_machine_are_told_from_addresses(text, is_found):
    """A path is found at the start of a word; a part of an address is none."""
    assert bool(_MACHINE.search(text.format("/"))) is is_found


def test_every_script_that_is_run_can_be_run():
    """The gate is executable and stops at the first failure."""
    gate = ROOT / ".ci" / "run"
    assert gate.stat().st_mode & 0o111
    assert "set -euo pipefail" in gate.read_text(encoding="utf-8")


def test_the_licence_is_apache_2():
    """The licence stands whole in one file, and the package declares it."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"


def _mentions(pattern: re.Pattern[str]) -> list[str]:
    """Return file and line of every match in the committed text files."""
    return [
        f"{shown(path)}:{number}: {match[0]}"
        for path in committed()
        if not shown(path).startswith(_FOREIGN)
        for number, line in _lines(path)
        for match in pattern.finditer(line)
    ]


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    except UnicodeDecodeError:  # a font, a picture
        return []
