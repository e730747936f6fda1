"""A dossier as Markdown: one page for each process, and one for all systems together.

The same dossier always gives the same bytes. Labels, keys and conditions are data: whatever could
be syntax of Markdown or HTML is written so that it is none. Source: drawing document, §14.3.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from newel.domain.failures import PARKING, Parking
from newel.domain.remedies import REMEDIES
from newel.drawing.dossier import Dossier, Row, System
from newel.drawing.drawing import Drawing
from newel.drawing.fields import Field
from newel.drawing.text import lines

__all__ = ["process_page", "systems_page"]

_STEPS: Final = (
    "Step",
    "System · operation",
    "Permission",
    "Done by",
    "Owner",
    "Limit",
    "If it fails",
    "How to fix",
)
_SYSTEMS: Final = (
    "System",
    "Owner",
    "Permissions that are enough",
    "Operations",
    "Cannot be taken back wholly",
    "Used by",
)
_WAITING: Final = ("approval", "form", "timer", "event", "child", "lock", "race")
_SYNTAX: Final = re.compile(r"([\\`*\[\]|#~!]|(?<!\w)_|_(?!\w))")
_OPENS: Final = re.compile(r"^(\d*)([-+=.)])")
_NOTHING: Final = "None.\n"
_OWNER: Final = "the owner of the process"


def process_page(dossier: Dossier, drawing: Drawing, page_of_systems: str) -> str:
    """Write the page of one process; page_of_systems: where the other page lies, from here."""
    sections = [
        ("Drawing", _drawing(drawing)),
        ("Steps", _steps(dossier)),
        ("Decisions, work of people and waits", _waits(dossier)),
        ("What cannot be taken back wholly", _final(dossier)),
        ("Mails sent", _mails(dossier)),
        ("What is put back", _undone(dossier)),
        ("Input", _fields(dossier.input)),
        ("Forms", _forms(dossier)),
        ("Data", _data(dossier)),
        ("When a step is parked", _guide()),
        ("Try it out", _trying(dossier)),
        ("Warnings that were allowed", _listed(map(_text, dossier.allowed))),
    ]
    head = [f"# {_text(dossier.title)}\n", _paragraph(dossier, page_of_systems)]
    written = [*head, *(f"## {title}\n\n{body}" for title, body in sections)]
    return "\n".join(written)


def systems_page(systems: Sequence[System]) -> str:
    """Write the page of all systems that processes use."""
    rows = (
        (
            f"{_text(each.title)} ({_code(each.name)})",
            _text(each.owner),
            _needs(each.needs),
            _codes(each.operations),
            _codes(each.final),
            _codes(each.used_by),
        )
        for each in systems
    )
    about = (
        "What the processes use, and the permissions that are enough for all of it. Made by\n"
        "`newel doc` from the code; do not edit it.\n"
    )
    table = _table(_SYSTEMS, rows) if systems else "No process uses a system.\n"
    return f"# Systems and permissions\n\n{about}\n{table}"


def _paragraph(dossier: Dossier, page_of_systems: str) -> str:
    told = [
        f"{_text(dossier.about)}\n" if dossier.about else "",
        f"- Process: {_code(dossier.process)}",
        f"- Owner: {_text(dossier.owner)}",
        f"- A run may take: {_text(dossier.within) or 'as long as it needs'}",
        f"- A run is meant to take: {_text(dossier.sla) or 'nothing is said'}",
        f"- Who may start one: {_text(', '.join(dossier.starters)) or 'everybody'}",
        f"- All systems: [{page_of_systems}]({page_of_systems})",
        "",
        "Made by `newel doc` from the code; do not edit it.\n",
    ]
    return "\n".join(told).lstrip("\n")


def _drawing(drawing: Drawing) -> str:
    outline = "\n".join("  " * line.depth + _line(line.text) for line in lines(drawing.tree))
    return f"![The process as a drawing](drawing.svg)\n\n{outline}\n"


def _line(text: str) -> str:
    """One line of the outline: its dash and its key are syntax, all else is text."""
    said = text.removeprefix("- ")
    before, tick, key = said.removesuffix("`").rpartition(" `")
    if not tick or not said.endswith("`"):
        return f"- {_text(said)}"
    return f"- {_text(before)} {_code(key)}"


def _steps(dossier: Dossier) -> str:
    return _table(_STEPS, (_step(row) for row in dossier.rows)) if dossier.rows else _NOTHING


def _step(row: Row) -> tuple[str, ...]:
    where = f"{_text(row.system_title)} · {_code(row.operation)}" if row.system else "newel"
    return (
        f"{_code(row.key)}<br>{_text(row.title)}",
        where,
        _needs(row.needs),
        _text(row.done_by),
        _text(row.owner),
        _text(row.limit),
        _text(row.on_failure),
        "<br>".join(map(_text, row.remedies)),
    )


def _waits(dossier: Dossier) -> str:
    waiting = [row for row in dossier.rows if row.kind in _WAITING]
    heads = ("Wait", "Kind", "Ended by", "Time", "If nobody comes")
    rows = (
        (f"{_code(row.key)}<br>{_text(row.title)}", row.kind, _text(row.done_by), _text(row.limit),
         _text(row.on_failure))
        for row in waiting
    )  # fmt: skip
    return _table(heads, rows) if waiting else _NOTHING


def _final(dossier: Dossier) -> str:
    return _listed(
        f"{_act(row)}: {_reversible(row)}{_when(row)}" for row in dossier.rows if row.is_final
    )


def _reversible(row: Row) -> str:
    match row.reversible:
        case "no":
            reason = row.undo.removeprefix("none:").strip()
            return f"cannot be taken back{f', because {_text(reason)}' if reason else ''}"
        case "with_loss":
            return f"{_code(row.undo)} takes it back, but something is lost"
        case until:
            return (
                f"{_code(row.undo)} takes it back only until {_text(until.removeprefix('until:'))}"
            )


def _mails(dossier: Dossier) -> str:
    return _listed(_mail(row) for row in dossier.rows if row.mails != "none")


def _mail(row: Row) -> str:
    whom = "the administrators" if row.mails == "admins" else "the person"
    return f"{_act(row)}: {_text(row.system_title or 'the step')} writes to {whom}{_when(row)}"


def _undone(dossier: Dossier) -> str:
    promised = [row for row in dossier.rows if row.kind == "undo"]
    told = "Newest first, if the block does not end well:\n\n" if promised else ""
    return told + _listed(f"{_act(row)}{_when(row)}" for row in reversed(promised))


def _forms(dossier: Dossier) -> str:
    if not dossier.forms:
        return _NOTHING
    return "\n".join(
        f"### {_text(form.title)}\n\n{_code(form.key)}, {_text(form.type) or 'done by hand'}\n\n"
        + _fields(form.fields)
        for form in dossier.forms
    )


def _fields(fields: Sequence[Field]) -> str:
    rows = (
        (_code(each.name), _text(each.type), "yes" if each.is_required else "no", _text(each.kind))
        for each in fields
    )
    return _table(("Field", "Type", "Required", "Data"), rows) if fields else _NOTHING


def _data(dossier: Dossier) -> str:
    """What of the input each system is given, as far as the source tells."""
    rows = ((_code(each.system), _code(each.data), _text(each.kind)) for each in dossier.data)
    return _table(("System", "Is given", "Data"), rows) if dossier.data else _NOTHING


def _guide() -> str:
    """What helps in general; the same on every page, because whoever reads it has only this one."""
    asked: dict[str, str] = {each.reason: _asked(each) for each in PARKING.values()}
    rows = (
        (
            _code(reason),
            f"The system {_text(remedy.symptom)}.",
            _text(remedy.of("the system")),
            _code(remedy.verb),
            asked.get(reason, _OWNER),
        )
        for reason, remedy in REMEDIES.items()
    )
    return _table(("Reason", "What is seen", "What helps", "Verb", "Who is asked"), rows)


def _asked(parking: Parking) -> str:
    """Whom a reason calls: a system's owner for what holds it up, else the team that is named."""
    if parking.addressee == "owner":
        return _OWNER
    is_shared = parking.addressee == "it" and parking.incident is not None
    return "the owner of the step" if is_shared else parking.addressee


def _trying(dossier: Dossier) -> str:
    return (
        f"```shell\nnewel check {dossier.process}\nnewel draw {dossier.process}\n"
        f"newel plan {dossier.process} --input example.json\n```\n"
    )


def _act(row: Row) -> str:
    return f"{_code(row.key)} ({_text(row.title)})"


def _when(row: Row) -> str:
    return f"; when: {' → '.join(map(_text, row.when))}" if row.when else ""


def _listed(points: Iterable[str]) -> str:
    return "".join(f"- {each}\n" for each in points) or _NOTHING


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_table_lines(heads, rows)) + "\n"


def _table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell or '-' for cell in row)} |"


def _needs(needs: Iterable[str]) -> str:
    return "<br>".join(" or ".join(map(_code, each.split("|"))) for each in needs)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _plain(text: str) -> str:
    """Text on one line, without characters that control or turn it."""
    shown = (" " if each in "\n\r\t" else each for each in text)
    kept = "".join(each for each in shown if unicodedata.category(each) not in ("Cc", "Cf", "Cs"))
    return " ".join(kept.split())


def _text(text: str) -> str:
    """Text as Markdown takes it for text, in tables and at the beginning of a line, too."""
    escaped = _SYNTAX.sub(r"\\\1", html.escape(_plain(text), quote=False))
    return _OPENS.sub(r"\1\\\2", escaped)


def _code(text: str) -> str:
    """Text as code; in HTML where a span of backticks could not hold it."""
    plain = _plain(text)
    if not plain or "`" in plain or "|" in plain:
        return f"<code>{_text(plain)}</code>"
    return f"`{plain}`"
