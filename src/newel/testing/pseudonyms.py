"""Texts of a journal replaced by others that mean nobody: the same for the same, of the same form.

What stands in the process's own source stays: names of fields, members of enumerations, words the
body compares with. A company's source names no persons of its journals. So do truth values,
numbers, moments and lengths of time, because bodies branch and wait by them; `hidden` fields lose
these, too. Every other text is replaced.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, Final

from newel.base.errors import DefinitionError
from newel.base.ids import reference
from newel.domain.keys import encoded
from newel.flow.process import Process
from newel.flow.reading import steps
from newel.flow.signature import hints_of

__all__ = ["Pseudonyms", "words_of"]

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_SPAN: Final = re.compile(r"-?P(\d+[DW])?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_PERSON: Final = re.compile(r"per_[0-9a-z]{26}")
_ITEM: Final = re.compile(r"\[([^\[\]]*)\]")
_OWN: Final = ("newel.domain", "newel.flow.waits", "newel.engine.starting", "newel.engine.outcomes")


class Pseudonyms:
    """The replacements of one journal. kept, hidden: names of fields whose texts stay, or go."""

    def __init__(
        self, words: Collection[str], *, kept: Collection[str] = (), hidden: Collection[str] = ()
    ) -> None:
        self._words, self._kept, self._hidden = words, frozenset(kept), frozenset(hidden)
        self._known: dict[str, str] = {}

    def value(self, given: Any, field: str = "") -> Any:  # Any: JSON
        """A JSON value with its texts replaced."""
        if isinstance(given, dict):
            return {self.text(key): self.value(each, key) for key, each in given.items()}
        if isinstance(given, list):
            return [self.value(each, field) for each in given]
        if field in self._hidden and isinstance(given, int | float) and given is not True:
            return 0
        if not isinstance(given, str) or field in self._kept:
            return given
        if field not in self._hidden and (_MOMENT.fullmatch(given) or _SPAN.fullmatch(given)):
            return given
        return self.text(given)

    def text(self, given: str) -> str:
        """A text that means nobody, the same for the same; what stands in the source stays."""
        if given in self._words or not given:
            return given
        if given not in self._known:
            self._known[given] = self._new(given, len(self._known) + 1)
        return self._known[given]

    def key(self, given: str | None) -> str | None:
        """A key whose items and sections are replaced as they are in values."""
        if given is None:
            return None
        *sections, last = given.split("/")
        return "/".join([*(self._part(each) for each in sections), self._items(last)])

    def _part(self, label: str) -> str:
        known = {encoded(text): encoded(new) for text, new in self._known.items()}
        return known.get(label, self._items(label))

    def _items(self, part: str) -> str:
        known = {encoded(text): encoded(new) for text, new in self._known.items()}

        def named(found: re.Match[str]) -> str:
            return f"[{','.join(known.get(each, each) for each in found[1].split(','))}]"

        return _ITEM.sub(named, part)

    @staticmethod
    def _new(given: str, number: int) -> str:
        if _PERSON.fullmatch(given):
            return reference("per", _numbered(number))
        if _MOMENT.fullmatch(given):
            return "2000-01-01" + given[10:]
        if "@" in given:
            return f"person-{number}@example.test"
        if given.startswith(("http://", "https://")):
            return f"https://example.test/{number}"
        if given.lstrip("-").replace(".", "", 1).isdigit():
            return str(number)
        return f"text-{number}"


def _numbered(number: int) -> Any:  # Any: a UUID
    from uuid import UUID  # noqa: PLC0415 - for this alone

    return UUID(int=number)


def words_of(process: Process[..., Any]) -> frozenset[str]:
    """Every name and text that stands in the source of a process, its steps and its types."""
    functions = [process.function, *(each.function for each in steps(process))]
    modules = {each.__module__ for each in functions}
    for function in functions:
        for hint in hints_of(function).values():
            modules |= {each.__module__ for each in _classes(hint, set())}
    modules |= {name for name in sys.modules if name.startswith(_OWN)}
    return frozenset(word for name in modules for word in _words_in(name))


def _classes(hint: object, seen: set[object]) -> Iterator[type]:
    """The classes that an annotation is made of, those of fields included."""
    for inner in typing.get_args(hint):
        yield from _classes(inner, seen)
    if not isinstance(hint, type) or hint in seen:
        return
    seen.add(hint)
    yield hint
    if dataclasses.is_dataclass(hint) or hasattr(hint, "model_fields"):
        for inner in typing.get_type_hints(hint).values():
            yield from _classes(inner, seen)


@cache
def _words_in(module: str) -> frozenset[str]:
    if module == "builtins" or module not in sys.modules:
        return frozenset()
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return frozenset()
    found: set[str] = set()
    told = [each for each in tree.body if not getattr(each, "name", "").startswith("test")]
    for node in (node for each in told for node in ast.walk(each)):  # tests name persons
        match node:
            case ast.Constant(value=str() as text):
                found.add(text)
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                found.add(text)
            case ast.keyword(arg=str() as text) | ast.FunctionDef(name=text):
                found.add(text)
            case ast.AsyncFunctionDef(name=text) | ast.ClassDef(name=text):
                found.add(text)
    return frozenset(found)


def checked(kept: Collection[str], hidden: Collection[str]) -> None:
    """Raise DefinitionError for a field that is to be kept and hidden."""
    if both := sorted({*kept} & {*hidden}):
        raise DefinitionError(f"{', '.join(both)} cannot be both kept and hidden", fix="choose one")
