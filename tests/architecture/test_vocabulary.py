"""One word per thing: the glossary's right column stays out of names, tables, paths and prose."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.reading import ROOT, SOURCE, Named, modules, public_names, shown

# word -> what to say instead. Plurals are meant, too.
NEVER = {
    "workflow": "process",
    "instance": "run",
    "execution": "run",
    "job": "run",
    "activity": "step",
    "try": "attempt",
    "retry_count": "round",
    "node_id": "key",
    "memo": "outcome",
    "checkpoint": "outcome; a checkpoint is the signed head of the log",
    "sleep": "timer",
    "signal": "event",
    "dead_letter": "parked",
    "escalation": "incident or ticket",
    "diagram": "drawing",
    "chart": "drawing",
    "generation": "epoch",
    "helper": "the noun of what it does",
    "util": "the noun of what it does",
    "utils": "the noun of what it does",
}
# In prose only what has no other meaning in plain English.
NEVER_IN_PROSE = ("workflow", "workflows", "dead letter", "retry count", "node id", "history event")
# Data of vendors keep the vendors' words; the stand-ins speak nothing else.
ASIDE = ("simulators",)
# The comparison page speaks of others in their words.
PROSE_ALLOWED = re.compile(r"docs/(.*/)?(comparison|glossary|migrating-from)[\w-]*\.md")
ALLOWED = Path(__file__).with_name("vocabulary.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """An entry of the short list."""

    place: str
    word: str
    reason: str


def words(name: str) -> list[str]:
    """Split an identifier into its words, lower-case and singular."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [_singular(part) for part in spaced.lower().split("_") if part]


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def forbidden(name: str) -> set[str]:
    """Return the words of the right column that an identifier uses."""
    parts = words(name)
    pairs = {f"{left}_{right}" for left, right in pairwise(parts)}
    return {word for word in NEVER if word in pairs or _singular(word) in parts}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("start_workflow", {"workflow"}),
        ("JobQueue", {"job"}),
        ("activities", {"activity"}),
        ("tries", {"try"}),
        ("retry_count", {"retry_count"}),
        ("retry", set()),
        ("country", set()),
        ("isinstance", set()),
        ("process_run", set()),
    ],
)
def test_words_are_found_inside_names(name, found):
    """A name is judged word by word, in either spelling and number."""
    assert forbidden(name) == found


def allowed() -> list[Allowed]:
    """Read the short list."""
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    found = []
    for entry in entries:
        match = re.fullmatch(r"(\S+) (\w+): (.+)", entry)
        assert match, f"not an entry: {entry}"
        found.append(Allowed(place=match[1], word=match[2], reason=match[3]))
    return found


def names() -> Iterator[Named]:
    """Yield every public name of the package, its tables and columns, and its API paths."""
    for path in modules():
        if path.relative_to(SOURCE).parts[0] in ASIDE:
            continue
        yield from public_names(path)
        yield from _api_paths(path)
    for path in sorted((SOURCE / "store" / "migrations").glob("*.sql")):
        yield from _columns(path)


def _api_paths(path: Path) -> Iterator[Named]:
    """Yield the parts of the paths that a router of the web declares."""
    if "web" not in path.relative_to(SOURCE).parts:
        return
    declared = re.compile(r"\.(?:get|post|put|patch|delete)\(\s*\"(/[^\"]*)\"")
    for route in declared.findall(path.read_text(encoding="utf-8")):
        for part in re.findall(r"[A-Za-z_-]+", route):
            yield Named(place=shown(path), name=part.replace("-", "_"))


def _columns(path: Path) -> Iterator[Named]:
    """Yield the tables and columns that a migration makes."""
    sql = path.read_text(encoding="utf-8")
    table = r"create table (?:if not exists )?newel\.(\w+) \((.*?)\n\)"
    for match in re.finditer(table, sql, re.DOTALL):
        yield Named(place=shown(path), name=match[1])
        for column in re.findall(r"^    (\w+)\s", match[2], re.MULTILINE):
            yield Named(place=shown(path), name=column)


def test_names_speak_the_glossary():
    """No public name, table, column or API path uses a word of the right column."""
    excused = allowed()
    found = sorted(
        {
            f"{each.place}: {each.name} says {word}; say {NEVER[word]}"
            for each in names()
            for word in forbidden(each.name)
            if not any(_covers(entry, each.place, word) for entry in excused)
        }
    )
    assert found == []


def test_the_short_list_is_short():
    """An entry of the list is needed, and says why."""
    used = {(each.place, word) for each in names() for word in forbidden(each.name)}
    idle = [
        entry for entry in allowed() if not any(_covers(entry, place, word) for place, word in used)
    ]
    assert idle == []


def _covers(entry: Allowed, place: str, word: str) -> bool:
    inside = place.removeprefix("src/newel/")
    return entry.word == word and (
        inside == entry.place or inside.startswith(f"{entry.place.rstrip('/')}/")
    )


def test_pages_and_documents_speak_the_glossary():
    """Templates, README and documentation say process, not workflow."""
    texts = [*SOURCE.rglob("*.html"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("README*")]
    found = [
        f"{shown(path)}: {word}"
        for path in sorted(texts)
        if not PROSE_ALLOWED.fullmatch(shown(path))
        for word in spoken(path.read_text(encoding="utf-8"), NEVER_IN_PROSE)
    ]
    assert found == []


def spoken(text: str, forbidden_words: Iterable[str]) -> list[str]:
    """Return the words that a text says, where a reader sees them and not inside addresses."""
    seen = re.sub(r"https?://\S+|<[^>]*>|\{[{%#].*?[}%#]\}|`[^`]*`", " ", text, flags=re.DOTALL)
    lower = re.sub(r"\s+", " ", seen).lower()
    return [word for word in forbidden_words if re.search(rf"\b{re.escape(word)}\b", lower)]


def test_prose_is_read_as_its_reader_sees_it():
    """Tags, addresses and code are no prose; a word across a line break is."""
    text = "<p class='workflow'>A dead\nletter</p> https://x.example/workflow {{ workflow }}"
    assert spoken(text, NEVER_IN_PROSE) == ["dead letter"]
