"""Which annotations the journal can carry, and what to write instead of the others.

An outcome is read back years later by the annotation alone, so the annotation has to say
everything: the element types, their order, the zone. What it cannot say is refused where the code
is decorated (F701: nothing written, F702: not suitable), with the replacement named.
Source: our own authoring document §3 "Values" and §13.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import io
import re
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID
from weakref import WeakSet

import typing_extensions

from newel.base.errors import NotJournalable
from newel.base.later import Later
from newel.base.secrets import Secret, SecretRef

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = Later("pydantic")

__all__ = ["check_annotation", "described"]

_PLAIN: Final = frozenset(
    {None, type(None), str, int, bool, float, Decimal, datetime, date, time, timedelta, UUID, bytes}
)
_ALIASES: Final = tuple(
    {
        kind
        for kind in (
            getattr(typing, "TypeAliasType", None),
            typing_extensions.TypeAliasType,
        )
        if kind is not None
    }
)

_REFUSED: Final[tuple[tuple[tuple[Any, ...], str, str], ...]] = (  # Any: special forms of typing
    ((set, frozenset, collections.abc.Set), "it has no order", "`tuple[str, ...]`"),
    ((Any, object), "what it is cannot be known when it is read back", "name the type"),
    ((Secret, SecretRef), "a secret is never kept", "read it where it is used"),
    (
        (io.IOBase, typing.IO, typing.TextIO, typing.BinaryIO),
        "an open file ends with its process",
        "its content as `bytes`, or where it lies as `str`",
    ),
    (
        (
            collections.abc.Callable,
            collections.abc.Awaitable,
            collections.abc.Coroutine,
            types.FunctionType,
        ),
        "code is not a value",
        "an `Enum` or `Literal` that names the choice",
    ),
    (
        (collections.abc.Mapping, collections.abc.MutableMapping),
        "what it is loaded as is left open",
        "`dict[str, …]`",
    ),
    (
        (
            collections.abc.Sequence,
            collections.abc.Iterable,
            collections.abc.Iterator,
            collections.abc.Collection,
            collections.abc.MutableSequence,
            collections.abc.Generator,
        ),
        "what it is loaded as is left open",
        "`tuple[…, ...]`",
    ),
    ((bytearray, memoryview), "it can be changed", "`bytes`"),
    ((complex,), "JSON cannot tell it", "a dataclass of two `float`s"),
)


_SOUND: Final = WeakSet[type]()
"""Records that were looked at whole and found good; those of type variables are never in it."""


def check_annotation(annotation: object, *, place: str = "") -> None:
    """Refuse an annotation whose values could not be read back as they were.

    place: what is annotated (`hire`, `result`), for the message. errors: NotJournalable.
    """
    looked = _Check(set())
    looked.check(annotation, place or "the value", {})
    _SOUND.update(each for each in looked.seen if not getattr(each, "__parameters__", ()))


def described(annotation: object) -> str:
    """Name a type as it is written in source, without modules: `tuple[NewHire, ...]`."""
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__.rpartition(".<locals>.")[2]
    return re.sub(r"(?:<locals>\.|\b[\w<>]+\.)+(?=\w)", "", repr(annotation)).replace(
        "NoneType", "None"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Check:
    """One pass over an annotation; `seen` ends it where classes name themselves."""

    seen: set[type]

    def check(self, annotation: object, place: str, given: Mapping[object, object]) -> None:
        """Look at one annotation; given: what stands for the type variables of a class."""
        annotation = given.get(annotation, annotation) if _is_variable(annotation) else annotation
        if annotation is Parameter.empty:
            _missing(place)
        if isinstance(annotation, str | typing.ForwardRef):
            _unresolved(place, str(annotation))
        if _known(annotation) or get_origin(annotation) is Literal:
            return
        for kinds, why, instead in _REFUSED:
            if _is_one_of(annotation, kinds):
                _refuse(annotation, place, why, instead)
        inner = _unwrapped(annotation)
        if inner is not None:
            self.check(inner, place, given)
        elif isinstance(annotation, type) or get_origin(annotation) is not None:
            self._check_shape(annotation, place, given)
        else:
            _refuse(annotation, place, "newel cannot read it back", "name a concrete type")

    def _check_shape(self, annotation: object, place: str, given: Mapping[object, object]) -> None:
        origin = get_origin(annotation) or annotation
        if origin in {Union, types.UnionType}:
            for member in get_args(annotation):
                self.check(member, place, given)
        elif origin in {tuple, list, dict}:
            self._check_collection(annotation, origin, place, given)
        elif isinstance(origin, type) and issubclass(origin, Enum):
            _check_enum(origin, place)
        elif isinstance(origin, type) and _has_fields(origin):
            self._check_fields(annotation, origin, place, given)
        else:
            _refuse(annotation, place, "newel cannot read it back", "a frozen dataclass of values")

    def _check_collection(
        self, annotation: object, origin: object, place: str, given: Mapping[object, object]
    ) -> None:
        arguments = get_args(annotation)
        if not arguments and annotation in {tuple, list, dict}:
            instead = "`dict[str, …]`" if origin is dict else f"`{described(origin)}[…]`"
            _refuse(annotation, place, "what it holds is not said", instead)
        if origin is dict:
            key, value = arguments
            if not _is_text_key(key):
                _refuse(annotation, place, "the names in JSON are text", "`dict[str, …]`")
            arguments = (value,)
        for item in arguments:
            if item is not Ellipsis:
                self.check(item, f"{place}[…]", given)

    def _check_fields(
        self, annotation: object, origin: type, place: str, given: Mapping[object, object]
    ) -> None:
        if origin in self.seen or origin in _SOUND:
            return
        self.seen.add(origin)
        parameters = getattr(origin, "__parameters__", ())
        stands_for: dict[object, object] = {
            variable: given.get(argument, argument) if _is_variable(argument) else argument
            for variable, argument in zip(parameters, get_args(annotation), strict=False)
        }
        for name, field in _fields(origin, place).items():
            self.check(field, f"{place}.{name}", stands_for)


def _known(annotation: object) -> bool:
    """Tell whether it is one of the plain types; unhashable annotations are not."""
    try:
        return annotation in _PLAIN
    except TypeError:
        return False


def _is_variable(annotation: object) -> bool:
    return isinstance(annotation, TypeVar)


def _is_text_key(key: object) -> bool:
    """Tell whether JSON member names give this key back: text, or what is written as text."""
    inner = _unwrapped(key)
    if inner is not None:
        return _is_text_key(inner)
    if get_origin(key) is Literal:
        return all(isinstance(choice, str) for choice in get_args(key))
    return isinstance(key, type) and (key in {str, UUID, date} or issubclass(key, str))


def _is_one_of(annotation: object, kinds: tuple[object, ...]) -> bool:
    """Tell whether it is one of the kinds, or (for classes of values) derives from one."""
    origin = get_origin(annotation) or annotation
    if any(origin is kind for kind in kinds):
        return True
    derived = (set, frozenset, Secret, SecretRef, io.IOBase)
    return isinstance(origin, type) and any(
        isinstance(kind, type) and kind in derived and issubclass(origin, kind) for kind in kinds
    )


def _unwrapped(annotation: object) -> object | None:
    """Give what stands behind `Annotated`, `NewType` or a type alias, if it is one."""
    if isinstance(annotation, NewType):
        supertype: object = annotation.__supertype__
        return supertype
    if isinstance(annotation, _ALIASES):
        value: object = annotation.__value__  # pyright: ignore[reportAttributeAccessIssue]
        return value
    if get_origin(annotation) is typing.Annotated:
        first: object = get_args(annotation)[0]
        return first
    return None


def _has_fields(origin: type) -> bool:
    return (
        dataclasses.is_dataclass(origin)
        or issubclass(origin, pydantic.BaseModel)
        or (issubclass(origin, tuple) and hasattr(origin, "_fields"))
    )


def _fields(origin: type, place: str) -> dict[str, object]:
    """Give the annotations of a record's fields by name."""
    if issubclass(origin, pydantic.BaseModel):
        origin.model_rebuild()
        return {name: field.annotation for name, field in origin.model_fields.items()}
    try:
        hints: dict[str, object] = typing.get_type_hints(origin, include_extras=True)
    except NameError as cause:
        _unresolved(f"{place} ({described(origin)})", str(cause.name), cause)
    if dataclasses.is_dataclass(origin):
        return {field.name: hints[field.name] for field in dataclasses.fields(origin)}
    names: tuple[str, ...] = getattr(origin, "_fields")  # noqa: B009  # a named tuple's own
    return {name: hints.get(name, Parameter.empty) for name in names}


def _check_enum(origin: type[Enum], place: str) -> None:
    for member in origin:
        if not isinstance(member.value, str | int):
            _refuse(
                origin,
                place,
                f"the value of `{member.name}` is neither text nor a whole number",
                "give its members text values",
            )


def _refuse(annotation: object, place: str, why: str, instead: str) -> typing.NoReturn:
    raise NotJournalable(
        f"`{described(annotation)}` ({place}) cannot be kept in the journal: {why}.",
        fix=f"{instead}.",
        code="F702",
    )


def _missing(place: str) -> typing.NoReturn:
    raise NotJournalable(
        f"`{place}` has no annotation: newel must know the type to read it back.",
        fix="annotate every parameter and the result (`-> None` too).",
        code="F701",
    )


def _unresolved(place: str, name: str, cause: Exception | None = None) -> typing.NoReturn:
    raise NotJournalable(
        f"The annotation of `{place}` names `{name}`, which is not there at run time.",
        fix=f"import `{name}` plainly, not under `if TYPE_CHECKING`.",
        code="F701",
    ) from cause
