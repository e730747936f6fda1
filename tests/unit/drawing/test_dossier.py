"""The dossier: each act once, what cannot be taken back, forms, and text that is only text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from newel import Overdue, Person, approval, compensation, days, form, process, step, team
from newel.drawing.dossier import dossier_of, systems_of
from newel.drawing.dossier_page import process_page, systems_page
from newel.drawing.drawing import drawing_of
from newel.drawing.regions import acts_of
from newel.flow.declarations import least
from tests.unit.drawing.shipped import name_of, shipped

HOSTILE = "a | b <script> `c` *d* [e](f)\n# g \u202e_h_"


@dataclass(frozen=True)
class Laptop:
    """What is handed out."""

    model: str
    number: int | None = None
    parts: tuple[str, ...] = ()


@step(title=HOSTILE, sends_email=True, reversible=False, runbook="https://wiki.example/badge")
async def print_badge(name: str) -> str:
    """Print a badge."""
    return name


@step(in_doubt="repeat", exhausted="fail", reversible=True)
async def void_badge(name: str) -> None:
    """Void a badge."""


@process(owner="people-ops", title=HOSTILE)
async def equipped(name: str, is_new: bool) -> None:
    """Give somebody what they need."""
    async with compensation() as undo:
        undo(void_badge, name)
        if is_new:
            await print_badge(name)
        try:
            await approval("boss-agrees", by=team("boss"), within=days(2))
        except Overdue:
            await form("laptop", Laptop, by=team("it"))


def test_each_act_is_one_row_in_the_order_of_the_source():
    """No act of a shipped process is missing or told twice, and the bytes are the same again."""
    for each in shipped():  # here: other tests forget the modules that are imported meanwhile
        drawing = drawing_of(each)
        dossier = dossier_of(drawing)
        keys = [str(act.pattern) for act in acts_of(drawing.tree)]
        assert [row.key for row in dossier.rows] == keys, name_of(each)
        page = process_page(dossier, drawing, "../systems.md")
        assert page == process_page(dossier_of(drawing), drawing, "../systems.md")
        assert "0x" not in page  # no address of an object


def test_what_the_code_says_stands_in_the_rows():
    """Branches, what is put back, mails, what cannot be taken back, deadlines and forms."""
    dossier = dossier_of(drawing_of(equipped))
    rows = {row.key: row for row in dossier.rows}
    badge, back = rows["print_badge"], rows["undo/void_badge"]
    assert (badge.when, badge.mails, badge.is_final) == (("Is new? Yes",), "person", True)
    assert badge.remedies == (
        "unknown: Look in the system, then say what you found.",
        "runbook: https://wiki.example/badge",
    )
    assert (badge.owner, rows["laptop"].owner) == ("it", "people-ops")
    assert (back.kind, back.is_final, back.remedies) == ("undo", False, ())
    assert back.on_failure == "the process is told; in doubt it is repeated, harmlessly"
    agrees = rows["boss-agrees"]
    assert (agrees.limit, agrees.on_failure) == (
        "2 days",
        "when the time is over, the process is told",
    )
    assert rows["laptop"].when == ("If nobody answers within 2 days",)
    (laptop,) = dossier.forms
    assert [(each.name, each.type, each.is_required) for each in laptop.fields] == [
        ("model", "text", True),
        ("number", "whole number or nothing", False),
        ("parts", "list of text", False),
    ]
    assert [(each.name, each.type) for each in dossier.input] == [
        ("name", "text"),
        ("is_new", "yes or no"),
    ]
    assert systems_of([dossier]) == []
    assert "No process uses a system." in systems_page([])


def test_text_of_the_code_is_only_text():
    """A title with syntax of Markdown and HTML makes no cell, tag, line or heading of its own."""
    drawing = drawing_of(equipped)
    page = process_page(dossier_of(drawing), drawing, "../systems.md")
    said = r"a \| b &lt;script&gt; \`c\` \*d\* \[e\](f) \# g \_h\_"
    assert page.startswith(f"# {said}\n")
    assert "<script" not in page
    assert "\u202e" not in page
    (row,) = (each for each in page.splitlines() if each.startswith("| `print_badge`"))
    assert f"`print_badge`<br>A{said[1:]} |" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 9


def test_the_least_permissions_meet_every_need():
    """An alternative is left out where one of its permissions is needed anyway."""
    assert least(["read|write", "write", "admin", "a|b", "write"]) == ("admin", "a|b", "write")


@dataclass(frozen=True)
class Pay:
    """What somebody is paid; the level is nobody's business, the place is."""

    salary: int
    level: str = field(metadata={"classification": "confidential"})
    place: str = ""


class Visit(BaseModel):
    """A visit, as pydantic has it."""

    badge: str = Field(json_schema_extra={"classification": "secret"})
    room: str = ""
    doors: tuple[str, ...] = ()


class Office:
    """A system; its name leads its keys."""

    name = "office"

    @step(in_doubt="repeat")
    async def let_in(self, who: str, badge: str, *, note: str = "") -> str:
        """Let somebody in."""
        return who


office = Office()


@process(owner="it", subject=lambda person, pay, visit: person)
async def visited(person: Person, pay: Pay, visit: Visit) -> None:
    """Somebody comes, and a helper lets them in."""
    await welcomed(person, pay)
    place = visit.room
    known = await office.let_in("x", visit.badge, note=f"in {place}")
    for door in visit.doors:
        await office.let_in[door](door, "x")
    await office.let_in["again"](known, "y")


async def welcomed(guest: Person, paid: Pay) -> None:
    """A helper has names of its own."""
    await office.let_in["first"](guest.email, paid.level, note=paid.place)


def test_what_each_system_is_given_is_told_with_its_class():
    """Through helpers and texts; declared, personal by what it is, else internal."""
    drawing = drawing_of(visited)
    dossier = dossier_of(drawing)
    assert [(each.system, each.data, each.kind) for each in dossier.data] == [
        ("office", "pay.level", "confidential"),
        ("office", "pay.place", "internal"),
        ("office", "person.email", "personal"),
        ("office", "visit.badge", "secret"),
        ("office", "visit.doors", "internal"),
        ("office", "visit.room", "internal"),
    ]
    fields = {each.name: each.kind for each in dossier.input}
    assert {fields["person.name"], fields["pay.salary"]} == {"personal"}
    assert fields["pay.level"] == "confidential"
    page = process_page(dossier, drawing, "../systems.md")
    assert "| `office` | `visit.badge` | secret |" in page
