"""The design guide, as far as it can be checked without eyes."""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newel.web.console.assets import assets, build
from newel.web.console.bar import bar_of
from newel.web.console.copy import CHIPS
from newel.web.console.format import duration, initials, relative, when
from newel.web.console.icons import icon

CONSOLE = Path(str(files("newel.web.console")))
STATIC = CONSOLE / "static"
SHEETS = sorted((STATIC / "css").glob("*.css"))
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 9, 13, 29, tzinfo=UTC)

STATES = ("done", "run", "retry", "park", "task", "wait", "pend")
GROUNDS = ("bg", "surface", "raise", "sunken")


def schemes():
    """The tokens of the two colour schemes."""
    text = (STATIC / "css" / "tokens.css").read_text("utf-8")
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    read = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
    forced = dark.partition(':root[data-theme="dark"]')
    assert dict(read.findall(forced[0])) == dict(read.findall(forced[2])), "two dark schemes"
    return {"light": dict(read.findall(light)), "dark": dict(read.findall(forced[0]))}


def luminance(colour):
    """How light a colour is (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """How far two colours are apart (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_on_every_ground(scheme):
    """Ink and state colours have a contrast of at least 4.5 on all grounds and their tints."""
    tokens = schemes()[scheme]
    pairs = [(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in GROUNDS]
    pairs += [(state, f"{state}-tint") for state in STATES]
    pairs += [(state, ground) for state in STATES for ground in ("bg", "surface", "sunken")]
    pairs += [("accent-ink", "accent"), ("surface", "park")]
    poor = {pair: contrast(*(tokens[name] for name in pair)) for pair in pairs}
    assert {pair: found for pair, found in poor.items() if found < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_and_focus_can_be_seen(scheme):
    """Field borders, pending bars and the focus ring have a contrast of at least 3."""
    tokens = schemes()[scheme]
    pairs = [
        (name, ground) for name in ("mark", "accent") for ground in ("bg", "surface", "sunken")
    ]
    poor = {pair: contrast(*(tokens[name] for name in pair)) for pair in pairs}
    assert {pair: found for pair, found in poor.items() if found < 3} == {}


def test_colours_stand_in_one_file():
    """No other style sheet, template or script names a colour."""
    literal = re.compile(r"#[0-9a-fA-F]{3,8}\b(?![\w-]*\")|\bhsl|\boklch")
    allowed = {STATIC / "css" / "tokens.css", STATIC / "css" / "print.css"}
    found = {
        path.name: literal.findall(path.read_text("utf-8"))
        for path in (*SHEETS, *TEMPLATES, *SCRIPTS)
        if path not in allowed
    }
    assert {name: colours for name, colours in found.items() if colours} == {}


def test_templates_format_and_do_not_compute():
    """No inline style or handler, nothing marked safe, no arithmetic between braces."""
    forbidden = re.compile(
        r"\sstyle=|\son[a-z]+=|\|\s*safe|hx-on|\{\{[^}]*[^\"'\s]\s[*/+-]\s[^}]*\}\}"
    )
    found = {path.name: forbidden.findall(path.read_text("utf-8")) for path in TEMPLATES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_scripts_are_small_and_evaluate_nothing():
    """Each is one concern of under 120 lines, without eval, storage or inner HTML."""
    forbidden = re.compile(
        r"\beval\(|new Function|innerHTML|localStorage|sessionStorage|document\.write"
    )
    for path in SCRIPTS:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) < 120
        assert forbidden.findall(text) == []


def test_copy_has_no_words_that_are_not_said():
    """No exclamation, no `please`, no `null`, no guess about anybody's gender."""
    forbidden = re.compile(
        r"\b(please|oops|successfully|null|undefined|he|she|his|her|him)\b|!\"", re.IGNORECASE
    )
    sentences = (CONSOLE / "copy.py", CONSOLE / "systems_copy.py")
    text = "\n".join(each.read_text("utf-8") for each in sentences)
    strings = re.findall(r"\"([^\"\n]{3,})\"", text)
    assert [each for each in strings if forbidden.search(each)] == []


def test_vendored_files_are_the_ones_that_were_vendored():
    """Each file in the list has its checksum, and each font is in the list."""
    listed = tomllib.loads((STATIC / "VENDORED.toml").read_text("utf-8"))["file"]
    for entry in listed:
        content = (STATIC / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert {entry["path"] for entry in listed} == {
        f"font/{path.name}" for path in (STATIC / "font").iterdir()
    }


def test_no_page_sheet_or_script_asks_another_host():
    """R41: fonts, scripts, pictures and sheets are our own; no beacon and no import from afar."""
    from_afar = re.compile(
        r"""(?:(?:src|srcset|action|formaction)=|<link[^>]+href=|url\(|@import\s+|from\s+)"""
        r"""\s*["']?(?:https?:)?//|sendBeacon|fetch\(\s*["'`](?:https?:)?//"""
    )
    assert from_afar.search('<script src="//cdn.example/x.js">')
    assert from_afar.search("@import 'https://fonts.example/css';")
    files_of_pages = [*TEMPLATES, *SHEETS, *SCRIPTS]
    assert len(files_of_pages) > 10
    found = [path.name for path in files_of_pages if from_afar.search(path.read_text("utf-8"))]
    assert found == []


def test_every_chip_has_an_icon_and_a_word():
    """Colour never speaks alone."""
    for tone, name, word in CHIPS.values():
        assert "<path" in icon(name)
        assert word
        assert tone in {*STATES, "failed"}


def test_the_bar_reads_without_colour():
    """Parked and waiting for a person are tall; more than forty steps become shares."""
    few = bar_of(["done", "done", "parked", "task", "running"])
    many = bar_of(["done"] * 50 + ["parked"])
    assert [segment.height for segment in few.segments] == [6, 6, 14, 14, 6]
    assert few.text == "2 done, 1 running, 1 waiting for a person, 1 parked"
    assert [segment.tone for segment in many.segments] == ["done", "park"]
    assert few.segments[-1].x + few.segments[-1].width == pytest.approx(1000, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.312, "312 ms"), (1.84, "1.8 s"), (41, "41 s"), (125, "2 min"), (8_040, "2 h 14 min"),
        (7_200, "2 h"), (360_000, "4 d 4 h"),
    ],
)  # fmt: skip
def test_lengths_have_two_units_at_most(seconds, text):
    """Short ones in milliseconds, long ones in days and hours."""
    assert duration(timedelta(seconds=seconds)) == text


def test_moments_are_said_in_the_viewers_zone():
    """Today, tomorrow and yesterday by their names; else the date; near ones with a distance."""
    assert [
        when(NOW + timedelta(hours=hours), NOW, BERLIN) for hours in (0, 12, -24, 24 * 7, -24 * 90)
    ] == [
        "Today 14:29",
        "Tomorrow 02:29",
        "Yesterday 14:29",
        "Mon 16 Mar, 14:29",
        "Tue 9 Dec 2025, 14:29",
    ]
    assert [relative(NOW + timedelta(seconds=s), NOW) for s in (0, 41, -180, 3_600)] == [
        "now", "in 41 s", "3 min ago", "",
    ]  # fmt: skip


def test_initials_are_of_first_and_last_word():
    """Any script has initials; a name without letters has a question mark."""
    assert [initials(name) for name in ("Jane van Doe", "李", "ليلى حداد", "7")] == [
        "JD",
        "李",
        "لح",
        "?",
    ]


def test_static_files_are_named_by_their_build():
    """One style sheet, small; the hash changes with any byte."""
    sheet = assets()["newel.css"]
    scripts = [asset for name, asset in assets().items() if name.endswith(".js")]
    assert len(sheet.compressed or b"") <= 12 * 1024
    assert sum(len(asset.compressed or b"") for asset in scripts) <= 12 * 1024
    assert re.fullmatch(r"[0-9a-f]{12}", build())
