"""`@process`: an ordinary `async def` that newel runs to its end."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

import orjson

from newel.base.codec import Codec, codec_of
from newel.base.errors import DefinitionError, InvalidInput
from newel.domain.keys import Subscript, checked_name, encoded, former, former_with_item
from newel.domain.limits import NO_LIMITS, Limits, OnOverdue, Priority, checked
from newel.domain.people import Person
from newel.domain.retry import Retry
from newel.flow import refusals
from newel.flow.act import Place
from newel.flow.children import ChildAct
from newel.flow.context import ATTEMPT, DRIVEN
from newel.flow.signature import hints_of

P = ParamSpec("P")
R = TypeVar("R")


class _FromInput:
    """The default of `subject=`: found in the first argument."""


FROM_INPUT = _FromInput()


@dataclass(frozen=True, slots=True)
class Request(Generic[R]):
    """A checked call of a process, not yet started."""

    process: Process[..., R]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    @property
    def text(self) -> bytes:
        """The arguments that were given, by name, as JSON; raises NotJournalable."""
        bound = self.process.signature.bind(*self.args, **self.kwargs)
        return self.process.dumped(bound.arguments)

    @property
    def document(self) -> object:
        """The input as JSON data, in the form that a start takes; raises NotJournalable."""
        given: dict[str, object] = orjson.loads(self.text)
        return next(iter(given.values()), None) if len(self.process.parameters) == 1 else given

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments as a run is given them: written and read once; raises NotJournalable."""
        return self.process.loaded(self.text)


class Process(Generic[P, R]):
    """The definition of a process: its function and what the engine must know of it."""

    def __init__(
        self,
        function: Callable[P, Awaitable[R]],
        *,
        name: str | None,
        title: str | None,
        owner: str | None,
        subject: Callable[P, Person] | _FromInput | None,
        retry: Retry | None,
        raises: tuple[type[Exception], ...],
        formerly: tuple[str, ...] = (),
        retired: tuple[str, ...] = (),
        limits: Limits = NO_LIMITS,
        second_person: bool = False,
        first_day: Callable[P, date] | None = None,
        starters: tuple[str, ...] = (),
        access_ends: Callable[P, datetime] | None = None,
    ) -> None:
        self.function = cast("Callable[P, Coroutine[Any, Any, R]]", function)
        self.name = name if name is not None else checked_name(function.__name__)
        self.base = self.name
        self.reads_subject = isinstance(subject, _FromInput)
        refusals.check(refusals.declared_process(function, self.name, raises))
        self.title = title or _first_sentence(function.__doc__) or self.name
        self.owner = owner
        self.retry = retry
        self.raises = raises
        self.formerly = self.former_bases = formerly
        self.retired = retired
        self.limits = checked(self.name, limits)
        self.second_person = second_person
        self.starters = starters
        self._subject = subject
        self._first_day = first_day
        self.access_ends = access_ends
        self.__doc__ = function.__doc__
        self.signature = inspect.signature(function)

    @property
    def place(self) -> str:
        """The module that declares it."""
        return self.function.__module__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Make a child run of the run around; outside a run, call the body as it is."""
        if DRIVEN.get() is None and ATTEMPT.get() is None:
            return self.function(*args, **kwargs)
        return ChildAct(self, args, dict(kwargs), Place.of_caller())

    def __getitem__(self, item: Subscript) -> Process[P, R]:
        """Name the child run for one of many: `training[course.id](…)`."""
        chosen = copy.copy(self)
        chosen.base = f"{self.name}[{encoded(item)}]"
        chosen.former_bases = former_with_item(self.formerly, encoded(item))
        return chosen

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request[R]:
        """Pack a checked call without running it."""
        self.signature.bind(*args, **kwargs)
        return Request(self, args, kwargs)

    @cached_property
    def parameters(self) -> dict[str, Codec[Any]]:  # Any: each parameter has its own type
        """How each argument is written and read, by name, in order."""
        hints = hints_of(self.function)
        return {name: codec_of(hints[name]) for name in self.signature.parameters}

    @cached_property
    def result(self) -> Codec[R]:
        """How the result is written and read."""
        return cast("Codec[R]", codec_of(hints_of(self.function)["return"]))

    @cached_property
    def definition_sha256(self) -> str:
        """Hex digest of `source`."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @cached_property
    def source(self) -> str:
        """The source that the process is made of: its module, and those of what it uses."""
        from newel.flow.ahead import source_of  # noqa: PLC0415 - it reads processes itself

        return source_of(self)

    @cached_property
    def input_schema(self) -> dict[str, Any]:  # Any: JSON
        """JSON Schema of the input; that of the only parameter where there is just one."""
        if len(self.parameters) == 1:
            return next(iter(self.parameters.values())).json_schema()
        return {
            "type": "object",
            "properties": {name: codec.json_schema() for name, codec in self.parameters.items()},
            "required": [
                name
                for name, parameter in self.signature.parameters.items()
                if parameter.default is inspect.Parameter.empty
            ],
        }

    def subject_of(self, arguments: Mapping[str, object]) -> Person | None:
        """The person whom a run with these arguments is about."""
        if self._subject is None:
            return None
        if not isinstance(self._subject, _FromInput):
            subject = cast("Callable[..., Person]", self._subject)
            return subject(*arguments.values())
        return _person_in(self.name, next(iter(arguments.values()), None))

    def first_day_of(self, arguments: Mapping[str, object]) -> date | None:
        """The day, or the moment, from which on a cancel comes late; None where none is said."""
        if self._first_day is None:
            return None
        return cast("Callable[..., date]", self._first_day)(*arguments.values())

    def access_ends_of(self, arguments: Mapping[str, object]) -> datetime | None:
        """The moment at which the subject's access is due to end; None where none is said.

        Raises DefinitionError for what gives no moment with a time zone.
        """
        if self.access_ends is None:
            return None
        try:
            moment = cast("Callable[..., datetime]", self.access_ends)(*arguments.values())
            if moment.tzinfo is not None:
                return moment
            wrong = "a moment without a time zone"
        except Exception as error:  # noqa: BLE001 - a company's own code
            wrong = type(error).__name__
        raise DefinitionError(
            f"`access_ends` of `{self.name}` gives no moment, but {wrong}.",
            fix="`@process(access_ends=lambda leaver: leaver.leaves_at)`, aware.",
            code="F711",
        )

    def dumped(self, arguments: Mapping[str, object]) -> bytes:
        """Arguments by name as JSON."""
        shape = {
            name: orjson.Fragment(self.parameters[name].dump(value))
            for name, value in arguments.items()
        }
        return orjson.dumps(shape)

    def loaded(self, text: bytes) -> dict[str, object]:
        """Arguments from the JSON that `dumped` wrote."""
        shape = cast("dict[str, object]", orjson.loads(text))
        return {
            name: self.parameters[name].load(orjson.dumps(value)) for name, value in shape.items()
        }

    def parsed(self, document: object) -> dict[str, object]:
        """Arguments from what a caller sent: the input of the only parameter, or all by name.

        Raises InvalidInput with one entry per field; unknown fields are reported.
        """
        names = list(self.parameters)
        if len(names) == 1:
            return {names[0]: self.parameters[names[0]].accept(written(document))}
        if not isinstance(document, dict):
            raise InvalidInput(fields={"": "must be an object with one entry per argument"})
        given = cast("dict[str, object]", document)
        problems = {name: "is not known here" for name in given if name not in names}
        arguments: dict[str, object] = {}
        for name, parameter in self.signature.parameters.items():
            if name in given:
                try:
                    arguments[name] = self.parameters[name].accept(written(given[name]))
                except InvalidInput as wrong:
                    problems |= {
                        f"{name}.{at}".rstrip("."): why for at, why in wrong.fields.items()
                    }
            elif parameter.default is inspect.Parameter.empty:
                problems[name] = "is missing"
        if problems:
            raise InvalidInput(fields=problems)
        return arguments


def written(value: object) -> bytes:
    """What a caller sent, as JSON text. Raises InvalidInput for what JSON cannot hold."""
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair, or a number beyond 64 bits
        raise InvalidInput({"": "holds text that is no Unicode, or too large a number"}) from None


def _person_in(process: str, value: object) -> Person:
    if isinstance(value, Person):
        return value
    names = _field_names(value)
    people = [found for name in names if isinstance(found := getattr(value, name), Person)]
    if len(people) != 1:
        raise DefinitionError(
            f"Cannot tell whom `{process}` is about: its input has no field or more than one of "
            "type `Person`.",
            fix="`@process(subject=lambda claim: claim.employee)` or `subject=None`.",
            code="F705",
        )
    return people[0]


def _field_names(value: object) -> list[str]:
    """The fields of a record of any kind: dataclass, pydantic model, named tuple."""
    if is_dataclass(value):
        return [each.name for each in fields(value)]
    names: Mapping[str, object] | tuple[str, ...] = getattr(type(value), "model_fields", ())
    return list(names or getattr(type(value), "_fields", ()))


def _first_sentence(text: str | None) -> str | None:
    if not text:
        return None
    return text.strip().split("\n")[0].split(". ")[0].rstrip(".")


class _Decorator:
    """`@process(…)` with its options, waiting for the function."""

    def __init__(self, **options: Any) -> None:  # Any: checked by `process`
        self._options = options

    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Process[P, R]:
        """Make the process."""
        return Process(function, **self._options)


@overload
def process(function: Callable[P, Awaitable[R]], /) -> Process[P, R]: ...
@overload
def process(
    *,
    name: str | None = None,
    title: str | None = None,
    owner: str | None = None,
    subject: Callable[..., Person] | _FromInput | None = FROM_INPUT,
    retry: Retry | None = None,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    formerly: str | tuple[str, ...] = (),
    retired: Sequence[str] = (),
    priority: Priority = "normal",
    at_most: int | None = None,
    within: timedelta | None = None,
    overdue: OnOverdue = "park",
    sla: timedelta | None = None,
    second_person: bool = False,
    first_day: Callable[..., date] | None = None,
    starters: str | tuple[str, ...] = (),
    access_ends: Callable[..., datetime] | None = None,
) -> _Decorator: ...
def process(
    function: Callable[..., Awaitable[Any]] | None = None,  # Any: the overloads say what
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    owner: str | None = None,
    subject: Callable[..., Person] | _FromInput | None = FROM_INPUT,
    retry: Retry | None = None,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    formerly: str | tuple[str, ...] = (),
    retired: Sequence[str] = (),
    priority: Priority = "normal",
    at_most: int | None = None,
    within: timedelta | None = None,
    overdue: OnOverdue = "park",
    sla: timedelta | None = None,
    second_person: bool = False,
    first_day: Callable[..., date] | None = None,
    starters: str | tuple[str, ...] = (),
    access_ends: Callable[..., datetime] | None = None,
) -> Process[..., Any] | _Decorator:
    """Declare a process; options as in the authoring document, §3.

    subject: which argument's person the run is about; None for nobody.
    raises: exception classes of the company that are a declared end of a run.
    formerly: names that the process had; runs of these go on with this code.
    retired: keys that this code no longer asks for on purpose; `*` stands for any item or section.
    priority: which due runs are taken first. at_most: how many are active at once, over all
    workers. within: how long a run may take; overdue: what happens then: `park` asks the owner,
    `cancel` and `fail` keep its promises and end it. sla: how long a run is meant to take; one that
    takes longer is shown as late.
    second_person: whether a second person confirms what operators skip, complete, cancel late or
    amend late. first_day: from the arguments, the day after which a cancel is late; without one
    every cancel is. starters: teams of whose members one may start a run; without any everybody.
    access_ends: from the arguments, the moment from which on each removal of access is late.
    """
    decorator = _Decorator(
        name=name,
        title=title,
        owner=owner,
        subject=subject,
        retry=retry,
        raises=raises if isinstance(raises, tuple) else (raises,),
        formerly=former(formerly),
        retired=tuple(retired),
        limits=Limits(priority=priority, at_most=at_most, within=within, overdue=overdue, sla=sla),
        second_person=second_person,
        first_day=first_day,
        starters=(starters,) if isinstance(starters, str) else tuple(starters),
        access_ends=access_ends,
    )
    return decorator if function is None else decorator(function)
