"""Shadow: a system is only looked at, and what an operation would have asked of it is noted.

A deployment that begins beside people who still work by hand takes its real events, reads the real
systems and changes none of them. That nothing is sent is no matter of good behaviour: the one
client that every connector has refuses whatever could change something (`Http.call`). Here the
operation ends at that refusal, and gives what it would have come to, so that the process goes on.
What is only known once it is done (an id) is empty. Source: product document, §10; connectors
document, §3.3.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from newel.base.errors import Forbidden, Invalid, NotReady
from newel.connectors.looking import WouldChange, is_looking, looking
from newel.domain.people import Person
from newel.domain.values import Account
from newel.flow.context import ATTEMPT

__all__ = ["SHADOW", "Mode", "shadowed", "supposed"]

P = ParamSpec("P")
R = TypeVar("R")

Mode = Literal["live", "shadow"]
SHADOW: Final = "shadow"
_EMPTY: Final[Mapping[object, object]] = {str: "", int: 0, float: 0.0, bool: True, NoneType: None}


def shadowed(
    function: Callable[P, Awaitable[R]], *, gives: bool, first: str
) -> Callable[P, Awaitable[R]]:
    """Let an operation of a connector in shadow look, and note what it would have asked for.

    gives: whether it gives access. first: its first change, for where it cannot even look, because
    what comes before it was not done either. Raises Forbidden where its result cannot be supposed.
    """

    @functools.wraps(function)
    async def performed(*args: P.args, **kwargs: P.kwargs) -> R:
        if getattr(args[0], "mode", "live") != SHADOW or is_looking():
            return await function(*args, **kwargs)
        try:
            with looking():
                value = await function(*args, **kwargs)
        except WouldChange as change:
            would = change.operation
        except (Invalid, NotReady):
            would = first
        else:
            _note("")
            return value
        _note(would)
        person = next((each for each in args if isinstance(each, Person)), None)
        kind = get_type_hints(function)["return"]
        found: R = supposed(kind, getattr(args[0], "name", ""), person, gives=gives)
        return found

    return performed


def _note(would: str) -> None:
    """Keep what was left undone; the ledger must not hear of what was found, either."""
    attempting = ATTEMPT.get()
    if attempting is not None:
        attempting.observed.effect = None
        attempting.observed.would = would


def supposed(kind: Any, system: str, person: Person | None, *, gives: bool) -> Any:  # Any: a type
    """Give a value of a type as far as it is known before anything is done.

    Raises Forbidden for a type of which nothing can be supposed.
    """
    if kind is Account:
        email = "" if person is None else person.email
        state: Literal["active", "absent"] = "active" if gives else "absent"
        return Account(system=system, id="", handle=email, email=email, state=state)
    if kind in _EMPTY:
        return _EMPTY[kind]
    origin = get_origin(kind)
    if origin in {Union, UnionType} and NoneType in get_args(kind):
        return None
    if origin is Literal:
        return get_args(kind)[0]
    if origin in {tuple, list, frozenset, set, dict}:
        return origin()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        needed = [e for e in fields(kind) if e.default is MISSING and e.default_factory is MISSING]
        return kind(
            **{e.name: supposed(hints[e.name], system, person, gives=gives) for e in needed}
        )
    raise Forbidden(
        "The system is in shadow: what this gives is only known once it is done.",
        reason="blocked",
    )
