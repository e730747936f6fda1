"""Whether who is asked may be who wants it: the person a run is about, or who has asked for it.

At run time neither of them decides (`SelfApproval`), so a process that asks them asks nobody. Told
from the source alone: `by=` names the same expression as the subject, also through the parameters
of helpers. Source: drawing document, §5, F603.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from newel.base.errors import NotJournalable
from newel.base.findings import Finding
from newel.domain.people import Person
from newel.drawing.consent import parsed
from newel.drawing.regions import Act
from newel.drawing.rules import found
from newel.drawing.sources import Source
from newel.flow.process import Process
from newel.flow.signature import hints_of

__all__ = ["Askers"]

_REQUESTERS: Final = frozenset({"requester", "requested_by", "applicant", "asked_by"})
"""Fields that say who wants it, whatever the subject is."""
_SAME: Final = (".email", ".work_email", ".ref")
"""What names the same person as the person itself."""


class Askers:
    """Whom a run is about, as source; and what parameters of the helpers around stand for."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._meant: list[Mapping[str, str]] = [{}]

    @classmethod
    def of(cls, process: Process[..., Any], source: Source) -> Askers:  # Any: its own result
        """Read whom a process is about; nobody where it cannot be told."""
        if process.reads_subject:
            return cls(_in_input(process))
        return cls(_said(process, source))

    @contextlib.contextmanager
    def called(self, arguments: Sequence[tuple[str, str]]) -> Iterator[None]:
        """Look at the inside of a helper."""
        self._meant.append({name: self.root(parsed(source)) for name, source in arguments})
        try:
            yield
        finally:
            self._meant.pop()

    def same(self, act: Act) -> Iterator[Finding]:
        """F603: an approval that is asked of who wants it."""
        for each in _asked(parsed(act.by)):
            who = self.root(each)
            whom = "the run is about" if self._subject and who == self._subject else ""
            if who.rpartition(".")[2] in _REQUESTERS:
                whom = "has asked for it"
            if whom:
                what = f"`{act.pattern}` asks `{act.by}`, who {whom}: they may not decide it."
                if whom.startswith("the run"):
                    what = f"`{act.pattern}` asks `{act.by}`, whom {whom}: they may not decide it."
                yield found("F603", act.where, what, "somebody else: a manager, or a team.")
                return

    def root(self, node: ast.expr | None) -> str:
        """An expression in the words of the process itself."""
        match node:
            case None:
                return ""
            case ast.Name(id=name):
                return self._meant[-1].get(name, name)
            case ast.Attribute(value=value, attr=attr):
                text = f"{self.root(value)}.{attr}"
                return next((text.removesuffix(e) for e in _SAME if text.endswith(e)), text)
            case _:
                return ast.unparse(node)


def _asked(node: ast.expr | None) -> Iterator[ast.expr]:
    """Everybody who may be asked: `hire.manager or hire` is two."""
    match node:
        case None:
            return
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            for each in values:
                yield from _asked(each)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _asked(body)
            yield from _asked(orelse)
        case _:
            yield node


def _in_input(process: Process[..., Any]) -> str:  # Any: as above
    """The person in the first argument: itself, or its only field that is one."""
    name = next(iter(process.signature.parameters), "")
    try:
        kind = hints_of(process.function).get(name)
        hints = typing.get_type_hints(kind) if isinstance(kind, type) else {}
    except (NotJournalable, NameError, TypeError):  # told as F701, or as F705
        return ""
    if _is_person(kind):
        return name
    people = [each for each in _fields(kind) if _is_person(hints.get(each))]
    return f"{name}.{people[0]}" if len(people) == 1 else ""


def _fields(kind: object) -> tuple[str, ...]:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return tuple(each.name for each in dataclasses.fields(kind))
    names: Iterable[str] = getattr(kind, "model_fields", ()) or getattr(kind, "_fields", ())
    return tuple(names)


def _is_person(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Person)


def _said(process: Process[..., Any], source: Source) -> str:  # Any: as above
    """What `subject=lambda claim: claim.employee` gives, in the names of the parameters."""
    for decorator in getattr(source.node, "decorator_list", ()):
        for keyword in getattr(decorator, "keywords", ()):
            if keyword.arg == "subject" and isinstance(keyword.value, ast.Lambda):
                given = [each.arg for each in keyword.value.args.args]
                askers = Askers("")
                names = list(process.signature.parameters)
                with askers.called(list(zip(given, names, strict=False))):
                    return askers.root(keyword.value.body)
    return ""
