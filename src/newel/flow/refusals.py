"""What is refused where it is declared, or when an engine is put together: F701 to F708.

Nothing here reads source; what only a look at the code can tell is the reader's. Findings are
collected, so that an author sees all of them at once.
"""

from __future__ import annotations

import inspect
import linecache
import typing
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

from newel.base.annotations import check_annotation, described
from newel.base.errors import DefinitionError, NotJournalable, Refused
from newel.base.findings import Finding
from newel.domain.people import Person
from newel.flow.database import Connection
from newel.flow.signature import hints_of

if TYPE_CHECKING:
    from newel.flow.process import Process
    from newel.flow.step import Step, StepOptions

__all__ = ["check", "declared_process", "declared_step", "finding", "registered"]

Code = Callable[..., Any]  # Any: whatever its author wrote

_TOO_WIDE: Final = (BaseException, Exception)


def check(findings: Iterable[Finding]) -> None:
    """Raise Refused with all findings, if there are any."""
    found = list(findings)
    if found:
        raise Refused(found)


def finding(function: Code, code: str, what: str, fix: str) -> Finding:
    """Say where a function is declared what is wrong with it."""
    plain: Any = inspect.unwrap(getattr(function, "__func__", function))
    code_of = getattr(plain, "__code__", None)
    line = 1 if code_of is None else code_of.co_firstlineno
    text = "" if code_of is None else linecache.getline(code_of.co_filename, line)
    return Finding(
        module=str(getattr(plain, "__module__", "?")),
        line=line,
        column=len(text) - len(text.lstrip()) + 1,
        code=code,
        what=what,
        fix=fix,
    )


def declared_step(
    function: Code, name: str, options: StepOptions, verify: Code | None
) -> Iterator[Finding]:
    """What is wrong with a step as it is written."""
    yield from _too_wide(function, options.raises)
    if verify is not None and not inspect.iscoroutinefunction(verify):
        yield finding(
            function,
            "F703",
            f"The `verify` of `{name}` is a plain `def`: it could not look without holding up "
            "everybody else.",
            "`async def`.",
        )
    if options.transactional:
        yield from _transactional(function, name, options, verify)
    if options.pool == "process":
        yield from _poolable(function, name)
    yield from _unfit_types(function, skips=options.transactional + _in_class(function))


def declared_process(
    function: Code, name: str, raises: tuple[type[Exception], ...]
) -> Iterator[Finding]:
    """What is wrong with a process as it is written; its types are looked at when it is registered:
    what it takes and gives is often defined further down.
    """
    yield from _too_wide(function, raises)
    if not inspect.iscoroutinefunction(function):
        yield finding(
            function,
            "F703",
            f"The process `{name}` is a plain `def`: it could not wait.",
            "`async def`.",
        )


def registered(
    processes: Iterable[Process[..., Any]],  # Any: each has its own result
    steps: Callable[[Process[..., Any]], Iterable[Step[..., Any]]],  # Any: as above
) -> Iterator[Finding]:
    """What is wrong with processes and the steps they are seen to call, taken together."""
    seen: dict[str, Step[..., Any]] = {}  # Any: as above
    for process in processes:
        yield from _unfit_types(process.function, late=True)
        if process.reads_subject:
            yield from _subjectless(process.function, process.name)
        for step in steps(process):
            yield from _unfit_types(step.function, skips=step.skips, late=True)
            earlier = seen.setdefault(step.name, step)
            if _code(earlier.function) is not _code(step.function):
                yield _twice(earlier.function, step.function, step.name)


def _twice(one: Code, other: Code, name: str) -> Finding:
    both = sorted(finding(each, "", "", "") for each in (one, other))
    places = " and ".join(f"{each.module}:{each.line}" for each in both)
    what = f"Two steps are named `{name}` ({places}): their outcomes could not be told apart."
    return finding(other, "F707", what, '`@step(name="…")`.')


def _code(function: Code) -> object:
    plain = getattr(function, "__func__", function)
    return getattr(plain, "__code__", plain)


def _too_wide(function: Code, raises: tuple[type[Exception], ...]) -> Iterator[Finding]:
    for kind in raises:
        if kind in _TOO_WIDE:
            yield finding(
                function,
                "F708",
                f"`raises={kind.__name__}` would turn every fault into an answer.",
                "name the classes.",
            )


def _transactional(
    function: Code, name: str, options: StepOptions, verify: Code | None
) -> Iterator[Finding]:
    fix = "a module-level function; read the connector's data in another step."
    if not inspect.iscoroutinefunction(function):
        what = f"The transactional step `{name}` is a plain `def`: it could not ask the database."
        yield finding(function, "F703", what, "`async def`.")
    if _in_class(function):
        what = f"`transactional=True` on the method `{_inside(function)}`."
        yield finding(function, "F704", what, fix)
    elif not _takes_connection(function):
        what = f"`transactional=True`, and the first parameter of `{name}` is no `Connection`."
        yield finding(function, "F704", what, f"`async def {name}(db: Connection, …)`.")
    if verify is not None or options.in_doubt != "ask":
        what = f"`{name}` is transactional and says what to do in doubt: it can never be."
        yield finding(function, "F704", what, "leave out `verify=` and `in_doubt=`.")


def _inside(function: Code) -> str:
    return str(function.__qualname__).rpartition(".<locals>.")[2]


def _in_class(function: Code) -> bool:
    return "." in _inside(function)


def _takes_connection(function: Code) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None:
        return False
    try:
        return hints_of(function)[first.name] is Connection
    except NotJournalable:  # told as F701
        return "Connection" in str(first.annotation)


def _poolable(function: Code, name: str) -> Iterator[Finding]:
    if inspect.iscoroutinefunction(function):
        what = f"`{name}` is an `async def` and asks for a process of its own."
        yield finding(
            function, "F704", what, "a plain `def`; what waits needs no second processor."
        )
    elif "." in function.__qualname__:
        what = f"`{name}` asks for a process of its own, which could not find it by its name."
        yield finding(function, "F704", what, "a module-level function.")


def _unfit_types(function: Code, *, skips: int = 0, late: bool = False) -> Iterator[Finding]:
    """F701 and F702; before everything is imported, a name may simply not be there yet."""
    try:
        hints = hints_of(function, skips=skips)
    except NotJournalable as error:
        if late or not isinstance(error.__cause__, NameError):
            yield _told(function, error)
        return
    for name, annotation in hints.items():
        try:
            check_annotation(annotation, place="the result" if name == "return" else name)
        except NotJournalable as error:
            if late or not isinstance(error.__cause__, NameError):
                yield _told(function, error)


def _told(function: Code, error: DefinitionError) -> Finding:
    return finding(function, error.code, error.what, error.fix)


def _subjectless(function: Code, name: str) -> Iterator[Finding]:
    try:
        hints = list(hints_of(function).values())
    except NotJournalable:
        return  # told as F701
    about = hints[0] if len(hints) > 1 else None
    if _is_person(about):
        return
    people = [] if about is None else [kind for kind in _field_types(about) if _is_person(kind)]
    if len(people) != 1:
        input_ = "its input" if about is None else f"`{described(about)}`"
        yield finding(
            function,
            "F705",
            f"Cannot tell whom `{name}` is about: {input_} has no field or more than one of type "
            "`Person`.",
            "`@process(subject=lambda claim: claim.employee)` or `subject=None`.",
        )


def _field_types(about: object) -> list[object]:
    if not inspect.isclass(about):
        return []
    try:
        return list(typing.get_type_hints(about).values())
    except NameError:
        return []


def _is_person(kind: object) -> bool:
    kinds = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return any(isinstance(each, type) and issubclass(each, Person) for each in kinds)
