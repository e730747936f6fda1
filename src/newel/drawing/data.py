"""Which data a process takes and to which system each part of them goes, with its classification.

A field says itself what it is: `field(metadata={"classification": "confidential"})`, or
`Field(json_schema_extra={"classification": …})` of pydantic. What says nothing is *personal* where
it is a person, a fact of one, or named like one; all else is *internal*. What goes where is told
from the arguments of calls, also through the parameters of helpers.
Source: drawing document, §14.3.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from newel.base.errors import NotJournalable
from newel.domain.people import Person
from newel.drawing.consent import parsed
from newel.drawing.duties import step_of
from newel.drawing.regions import Act, Call, Each, Loop, Pure, Region, Seq, kids_of
from newel.flow.process import Process
from newel.flow.signature import hints_of

__all__ = ["INTERNAL", "PERSONAL", "Given", "class_of", "given", "kinds_of"]

INTERNAL: Final = "internal"
PERSONAL: Final = "personal"
_NAMED: Final = re.compile(
    r"(^|_)(e?mail|name|first_name|last_name|phone|salary|birthday|address|username)$"
)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Given:
    """What a system is given. data: as the process names it, `hire.email`; kind: its class."""

    system: str
    data: str
    kind: str


def given(tree: Seq, process: Process[..., Any]) -> tuple[Given, ...]:  # Any: its own result
    """What of the input each system is given, sorted."""
    kinds = kinds_of(process)
    roots = {name: name for name in process.signature.parameters}
    found = {Given(system, data, class_of(kinds, data)) for system, data in _sent(tree, roots)}
    return tuple(sorted(found))


def kinds_of(process: Process[..., Any]) -> dict[str, object]:  # Any: as above
    """The types of the parameters of a process, by name."""
    try:
        return hints_of(process.function)
    except NotJournalable:  # told as F701
        return {}


def _sent(region: Region, meant: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Systems and parts of the input, in the words of the process itself.

    meant: what names stand for; items of a loop stand for what is looped over.
    """
    if isinstance(region, Each | Loop) and (data := _root(region.over, meant)):
        meant[region.target] = data
    if isinstance(region, Pure) and len(region.targets) == 1:
        if data := _root(region.value, meant):
            meant[region.targets[0]] = data
        return
    if isinstance(region, Call):
        inner = {name: data for name, source in region.arguments if (data := _root(source, meant))}
        yield from _sent(region.kid, inner)
        return
    step = step_of(region)
    if step is not None and isinstance(region, Act):
        system = str(getattr(step.owner, "name", "") or step.options.system or "")
        call = parsed(region.call)
        if system and isinstance(call, ast.Call):
            for each in _arguments(call):
                if data := _root(ast.unparse(each), meant):
                    yield system, data
    for kid in kids_of(region):
        yield from _sent(kid, meant)


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    """What is given, f-strings and tuples taken apart."""
    todo = [*call.args, *(each.value for each in call.keywords)]
    while todo:
        node = todo.pop()
        match node:
            case ast.JoinedStr(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
                todo += values
            case ast.FormattedValue(value=value) | ast.Starred(value=value):
                todo.append(value)
            case _:
                yield node


def _root(source: str, meant: Mapping[str, str]) -> str:
    """An expression in the words of the process; empty for what is no part of the input."""
    node = parsed(source)
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in meant:
        return ".".join([meant[node.id], *attributes])
    return ""


def class_of(kinds: Mapping[str, object], path: str) -> str:
    """The class of a part of the input; kinds: the types of the parameters, by name."""
    first, *rest = path.split(".")
    kind, found = kinds.get(first), ""
    for name in rest:
        holder, kind = kind, _hints(kind).get(name)
        is_personal = _is_person(holder) or _is_person(kind) or _NAMED.search(name) is not None
        found = _said(holder, name) or (PERSONAL if is_personal else INTERNAL)
    if not rest:
        is_personal = _is_person(kind) or _holds_person(kind) or _NAMED.search(first) is not None
        return PERSONAL if is_personal else INTERNAL
    return found


def _said(kind: object, name: str) -> str:
    """What a field says of itself."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        known = {
            each.name: each.metadata.get("classification") for each in dataclasses.fields(kind)
        }
        return str(known.get(name) or "")
    field = getattr(kind, "model_fields", {}).get(name)
    extra = getattr(field, "json_schema_extra", None)
    return str(extra.get("classification") or "") if isinstance(extra, dict) else ""


def _is_person(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Person)


def _holds_person(kind: object) -> bool:
    return any(_is_person(each) for each in _hints(kind).values())


def _hints(kind: object) -> dict[str, object]:
    try:
        return typing.get_type_hints(kind) if isinstance(kind, type) else {}
    except (NameError, TypeError):
        return {}
