"""`parallel`: everyone as far as they can, then rest.

The standard library has two ways to run things beside each other, and neither can rest:
`gather` lets the first exception through and leaves the siblings without an owner,
`TaskGroup` cancels them in the middle of a call. `parallel` ends when every branch has ended;
until then a branch that waits or is parked holds up nobody but the join (authoring
document, §7).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar, overload

from newel.flow.act import Fork, Place

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")


@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    /,
) -> Awaitable[tuple[T1, T2]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    /,
) -> Awaitable[tuple[T1 | None, T2 | None]]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    /,
) -> Awaitable[tuple[T1, T2, T3]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    /,
) -> Awaitable[tuple[T1 | None, T2 | None, T3 | None]]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    b4: Awaitable[T4],
    /,
) -> Awaitable[tuple[T1, T2, T3, T4]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    b4: Awaitable[T4] | None,
    /,
) -> Awaitable[tuple[T1 | None, T2 | None, T3 | None, T4 | None]]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    b4: Awaitable[T4],
    b5: Awaitable[T5],
    /,
) -> Awaitable[tuple[T1, T2, T3, T4, T5]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    b4: Awaitable[T4] | None,
    b5: Awaitable[T5] | None,
    /,
) -> Awaitable[tuple[T1 | None, T2 | None, T3 | None, T4 | None, T5 | None]]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    b4: Awaitable[T4],
    b5: Awaitable[T5],
    b6: Awaitable[T6],
    /,
) -> Awaitable[tuple[T1, T2, T3, T4, T5, T6]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    b4: Awaitable[T4] | None,
    b5: Awaitable[T5] | None,
    b6: Awaitable[T6] | None,
    /,
) -> Awaitable[tuple[T1 | None, T2 | None, T3 | None, T4 | None, T5 | None, T6 | None]]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    b4: Awaitable[T4],
    b5: Awaitable[T5],
    b6: Awaitable[T6],
    b7: Awaitable[T7],
    /,
) -> Awaitable[tuple[T1, T2, T3, T4, T5, T6, T7]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    b4: Awaitable[T4] | None,
    b5: Awaitable[T5] | None,
    b6: Awaitable[T6] | None,
    b7: Awaitable[T7] | None,
    /,
) -> Awaitable[
    tuple[T1 | None, T2 | None, T3 | None, T4 | None, T5 | None, T6 | None, T7 | None]
]: ...
@overload
def parallel(
    b1: Awaitable[T1],
    b2: Awaitable[T2],
    b3: Awaitable[T3],
    b4: Awaitable[T4],
    b5: Awaitable[T5],
    b6: Awaitable[T6],
    b7: Awaitable[T7],
    b8: Awaitable[T8],
    /,
) -> Awaitable[tuple[T1, T2, T3, T4, T5, T6, T7, T8]]: ...
@overload
def parallel(
    b1: Awaitable[T1] | None,
    b2: Awaitable[T2] | None,
    b3: Awaitable[T3] | None,
    b4: Awaitable[T4] | None,
    b5: Awaitable[T5] | None,
    b6: Awaitable[T6] | None,
    b7: Awaitable[T7] | None,
    b8: Awaitable[T8] | None,
    /,
) -> Awaitable[
    tuple[T1 | None, T2 | None, T3 | None, T4 | None, T5 | None, T6 | None, T7 | None, T8 | None]
]: ...
@overload
def parallel(*branches: Awaitable[T]) -> Awaitable[tuple[T, ...]]: ...
def parallel(*branches: Awaitable[object] | None) -> Awaitable[tuple[object, ...]]:
    """Run all branches; give their values in the order of the arguments.

    branches: durable acts, calls of helper coroutines, or None (an empty branch with the
    result None). Failures are raised after all branches have ended, as one ExceptionGroup,
    even a single one; handle them with `except*`.
    """
    return Fork(branches, Place.of_caller())
