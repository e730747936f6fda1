"""The dossier of a process: what owners, operators and auditors ask, from code and declarations.

Every act of the drawing is one row, in the order of the source. What a system's operation says of
itself lies on the step that the act names, so no connector is imported and no system asked.
Source: drawing document, §14.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast

from newel.base.codec import json_schema
from newel.base.errors import DefinitionError
from newel.domain.remedies import REMEDIES
from newel.drawing.data import Given, class_of, given
from newel.drawing.drawing import Drawing
from newel.drawing.fields import Field, fields_of, of_input
from newel.drawing.labels import capital, in_words
from newel.drawing.regions import (
    Act,
    Choice,
    Guarded,
    Lock,
    Promise,
    Race,
    Region,
    Where,
    kids_of,
)
from newel.flow.declarations import is_read, least, length, on_failure, window
from newel.flow.process import Process
from newel.flow.step import Step

__all__ = ["SCHEMA", "Dossier", "Form", "Row", "System", "dossier_of", "systems_of"]

SCHEMA: Final = "newel.dossier/1"
_IT: Final = "it"
_WAITS: Final = "waits until it happens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One act. key: its pattern; kind: as in the drawing, `undo` for what is put back.

    system: name in keys, empty where newel does it itself. needs: permissions, `a|b` for any one.
    done_by: who does it. owner: the team that is asked if it is parked. limit: how long newel
    tries, and how often it calls. remedies: what helps this act if it is parked. mails: whom the
    system writes to, `none` for nobody. reversible: `yes`, `with_loss`, `no`, `until:…`, or empty
    where nothing is changed. when: the branches that lead to it, outermost first.
    """

    key: str
    title: str
    kind: str
    done_by: str
    owner: str
    system: str = ""
    system_title: str = ""
    operation: str = ""
    needs: tuple[str, ...] = ()
    limit: str = ""
    on_failure: str = ""
    remedies: tuple[str, ...] = ()
    mails: str = "none"
    moves_money: bool = False
    reversible: str = ""
    undo: str = ""
    when: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether it cannot be taken back, or not wholly, or not for long."""
        return self.reversible not in ("", "yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a person fills in. fields: empty where the type is not seen, or for work by hand."""

    key: str
    title: str
    type: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system as processes use it. needs: the smallest set of permissions that is enough."""

    name: str
    title: str
    owner: str
    needs: tuple[str, ...]
    operations: tuple[str, ...]
    final: tuple[str, ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All of it. sla: how long a run is meant to take. starters: teams that may start one.

    data: what of the input each system is given. shape: digest of what is drawn.
    allowed: warnings that were silenced, why.
    """

    process: str
    title: str
    about: str
    owner: str
    within: str
    sla: str
    starters: tuple[str, ...]
    rows: tuple[Row, ...]
    forms: tuple[Form, ...]
    input: tuple[Field, ...]
    data: tuple[Given, ...]
    shape: str
    allowed: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """The same as plain data."""
        return {"schema": SCHEMA, **asdict(self)}


def dossier_of(drawing: Drawing) -> Dossier:
    """Collect what the code and the declarations say of a process."""
    process = drawing.process
    acts = list(_placed(drawing.tree, ()))
    within, sla = process.limits.within, process.limits.sla
    return Dossier(
        process=process.name,
        title=process.title,
        about=" ".join((process.__doc__ or "").split()),
        owner=process.owner or _IT,
        within="" if within is None else length(within),
        sla="" if sla is None else length(sla),
        starters=process.starters,
        rows=tuple(_row(act, when, process) for act, when in acts),
        forms=tuple(_form(act) for act, _ in acts if isinstance(act, Act) and act.act == "form"),
        input=of_input(process),
        data=given(drawing.tree, process),
        shape=drawing.shape_sha256,
        allowed=tuple(f"{each.code}: {each.reason}" for each in drawing.allowed),
    )


def systems_of(dossiers: Iterable[Dossier]) -> list[System]:
    """List the systems that processes use, by name, with what is enough for all of them."""
    used: dict[str, list[tuple[str, Row]]] = {}
    for dossier in dossiers:
        for row in dossier.rows:
            if row.system:
                used.setdefault(row.system, []).append((dossier.process, row))
    return [_system(name, used[name]) for name in sorted(used)]


def _system(name: str, used: list[tuple[str, Row]]) -> System:
    rows = [row for _, row in used]
    return System(
        name=name,
        title=rows[0].system_title,
        owner=rows[0].owner,
        needs=least(need for row in rows for need in row.needs),
        operations=tuple(sorted({row.operation for row in rows})),
        final=tuple(sorted({row.operation for row in rows if row.is_final})),
        used_by=tuple(sorted({process for process, _ in used})),
    )


Keyed = Act | Race | Lock | Promise


def _placed(region: Region, when: tuple[str, ...]) -> Iterator[tuple[Keyed, tuple[str, ...]]]:
    """Every act with the branches that lead to it, in the order of the source."""
    if isinstance(region, Keyed):
        yield region, when
    match region:
        case Choice(arms=arms):
            for arm in arms:
                yield from _placed(arm.kid, (*when, f"{region.label} {capital(arm.label)}"))
        case Guarded():
            yield from _placed(region.body, when)
            for handler in region.handlers:
                yield from _placed(handler.kid, (*when, capital(handler.label)))
            yield from _placed(region.orelse, when)
            yield from _placed(region.final, when)
        case _:
            for kid in kids_of(region):
                yield from _placed(kid, when)


def _row(act: Keyed, when: tuple[str, ...], process: Process[..., Any]) -> Row:  # Any: its result
    owner = process.owner or _IT
    kind = act.act if isinstance(act, Act) else act.kind
    row = functools.partial(
        Row,
        key=str(act.pattern),
        title=act.label or capital(in_words(act.pattern.name)),
        kind="undo" if isinstance(act, Promise) else kind,
        when=when,
    )
    live = act.live if isinstance(act, Act | Promise) else None
    if isinstance(live, Step):
        step = cast("Step[..., Any]", live)  # Any: whatever it takes and gives
        return row(**_of_step(step, process))
    if not isinstance(act, Act):
        return row(done_by="newel", owner=owner, on_failure=_WAITS if kind == "lock" else "")
    return row(
        done_by=_doer(act),
        owner=owner,
        limit=str(live or "") if act.act in ("approval", "form", "timer") else act.within,
        on_failure=_unanswered(act),
    )


def _doer(act: Act) -> str:
    if act.by:
        return act.by
    return "whoever sends it" if act.act == "event" else "newel"


def _unanswered(act: Act) -> str:
    """Say what happens where nobody answers, or what does not happen."""
    match act.act:
        case "approval" | "form" | "event":
            return "when the time is over, the process is told" if act.within else _WAITS
        case "child":
            return "the run beside parks or fails; this one waits, or is told"
        case _:
            return ""


def _of_step(step: Step[..., Any], process: Process[..., Any]) -> dict[str, Any]:  # Any: of a Row
    facts, options, system = step.options.facts, step.options, _system_name(step)
    changes = not is_read(step)
    said = {True: "yes", False: "no", None: ""}[options.reversible]
    title = str(getattr(step.owner, "title", "") or system)
    return {
        "done_by": "newel, or a person" if facts.get("by_hand") else "newel",
        "owner": str(getattr(step.owner, "owner", None) or _IT),
        "system": system,
        "system_title": title,
        "operation": step.name.rpartition(".")[2],
        "needs": facts.get("needs", ()),
        "limit": "; ".join(_limits(step, process)),
        "on_failure": on_failure(step),
        "remedies": tuple(_remedies(step, title or "the system")),
        "mails": str(facts.get("sends_email") or ("person" if options.sends_email else "none")),
        "moves_money": bool(facts.get("moves_money")),
        "reversible": str(facts.get("reversible") or said) if changes else "",
        "undo": str(facts.get("undo") or "") if changes else "",
    }


def _system_name(step: Step[..., Any]) -> str:
    """The system of a connector's operation, or the one that the author names."""
    return str(getattr(step.owner, "name", "") or step.options.system or "")


def _limits(step: Step[..., Any], process: Process[..., Any]) -> Iterator[str]:
    yield window(step, process)
    if step.options.timeout is not None:
        yield f"{length(step.options.timeout)} an attempt"
    name = step.options.facts.get("bucket")
    for bucket in getattr(step.owner, "buckets", ()):
        if bucket.name == name:
            yield _pace(bucket.rate)


def _pace(rate: float) -> str:
    """Write a rate in the unit in which it is a number that people can read."""
    if rate >= 1:
        return f"{rate:.3g} calls a second"
    return (
        f"{rate * 60:.3g} calls a minute" if rate * 60 >= 1 else f"{rate * 3600:.3g} calls an hour"
    )


def _remedies(step: Step[..., Any], system: str) -> Iterator[str]:
    """What helps this step in particular; the guide below the table says what helps in general."""
    facts: Mapping[str, Any] = step.options.facts  # Any: the declaration of an operation
    if facts.get("needs"):
        needs = ", ".join(" or ".join(each.split("|")) for each in facts["needs"])
        yield f"forbidden: give {needs}, then retry"
    if not is_read(step) and step.options.in_doubt == "ask":
        yield f"unknown: {REMEDIES['unknown'].of(system)}"
    by_hand = facts.get("by_hand")
    if by_hand is not None:
        yield f"by hand: {by_hand.title}. {' '.join(by_hand.how)}"
    runbook = step.options.runbook or getattr(step.owner, "runbook", None)
    if runbook:
        yield f"runbook: {runbook}"


def _form(act: Act) -> Form:
    return Form(
        key=str(act.pattern),
        title=act.label,
        type=act.schema,
        fields=_fields(act.schema, act.where),
    )


def _fields(source: str, where: Where) -> tuple[Field, ...]:
    """The fields of a type that a module names; nothing where it is an expression."""
    found: object = sys.modules.get(where.module)
    for part in source.split("."):
        found = getattr(found, part, None)
    if found is None:
        return ()
    try:
        kinds = {"form": found}
        return tuple(
            replace(each, kind=class_of(kinds, f"form.{each.name}"))
            for each in fields_of(json_schema(found))
        )
    except DefinitionError:
        return ()
