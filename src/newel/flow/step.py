"""`@step`: work whose outcome is kept.

A `Step` carries everything the engine must know of a unit of work before it runs: its name,
what to do in doubt, its retry profile, which exceptions are answers. It is a descriptor, so
that the same class serves functions and methods; a method of a connector instance has the
instance's name in front (`github.grant`).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import orjson

from newel.base.codec import Codec
from newel.base.errors import DefinitionError, OutcomeUnreadable, OutsideRun
from newel.domain.keys import Subscript, checked_name, encoded, former, former_with_item
from newel.domain.retry import Retry
from newel.domain.values import Absent, Found, InDoubt, Unclear
from newel.flow import refusals
from newel.flow.act import Act, Place, StepAct
from newel.flow.code import Code
from newel.flow.database import Connection

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

Verdict = Found[R] | Absent | Unclear

DEFAULT_TIMEOUT: Final = timedelta(seconds=20)
OnAmend = Literal["ask", "redo", "keep"]
Pool = Literal["thread", "process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What an author may say of a step (authoring document, §4).

    timeout: of one attempt; None: the engine's. pool: where a plain function runs.
    transactional: its SQL rides in the outcome's transaction.
    runbook, reversible, sends_email: facts for people and checks.
    """

    title: str | None = None
    in_doubt: InDoubt = "ask"
    retry: Retry | None = None
    timeout: timedelta | None = None
    raises: tuple[type[Exception], ...] = ()
    exhausted: Literal["park", "fail"] = "park"
    on_amend: OnAmend = "ask"
    on_heal: Literal["resume", "ask"] = "resume"
    pool: Pool = "thread"
    transactional: bool = False
    system: str | None = None
    grants: str | None = None
    revokes: str | None = None
    runbook: str | None = None
    reversible: bool | None = None
    sends_email: bool = False
    level: str | None = None
    natural_key: str | None = None
    formerly: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict[str, object])


class Step(Generic[P, R]):
    """A unit of work with a stable name; calling it makes an `Act`, awaiting that runs it once."""

    def __init__(
        self,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        name: str,
        options: StepOptions,
        *,
        verify: Callable[..., Awaitable[Verdict[R]]] | None = None,
        owner: object = None,
        subscript: str | None = None,
        code: Code | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.options = options
        self.verify = verify
        self.owner = owner
        self.base = name if subscript is None else f"{name}[{subscript}]"
        self.formerly = former_with_item(options.formerly, subscript)
        self.__doc__ = function.__doc__
        self._bound: dict[int, tuple[object, Step[..., Any]]] = {}  # Any: whatever P is left
        self._code = code or Code(function, skips=1 if options.transactional else 0)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Act[R]:
        """Make the act; nothing runs before it is awaited."""
        return StepAct(self, args, kwargs, Place.of_caller())

    def __getitem__(self, item: Subscript) -> Step[P, R]:
        """Name the same step for one of many: `github.grant[repository](…)`."""
        return Step(
            self.function,
            self.name,
            self.options,
            verify=self.verify,
            owner=self.owner,
            subscript=encoded(item),
            code=self._code,
        )

    @overload
    def __get__(self, instance: None, owner: type) -> Step[P, R]: ...
    @overload
    def __get__(self: Step[Concatenate[T, Q], R], instance: T, owner: type) -> Step[Q, R]: ...
    def __get__(self, instance: object, owner: type) -> Step[..., R]:
        """Bind a method's step to its instance, whose `name` leads the key.

        An instance that handles another system's access names that one as `access_system`.
        """
        if instance is None:
            return self
        bound = self._bound.get(id(instance))
        if bound is None or bound[0] is not instance:
            bound = (instance, self._bound_to(instance))
            self._bound[id(instance)] = bound
        return bound[1]

    def _bound_to(self, instance: object) -> Step[..., R]:
        prefix = getattr(instance, "name", type(instance).__name__.lower())
        verify = self.verify
        options = self.options
        if options.formerly:
            options = replace(options, formerly=_of_instance(options.formerly, prefix))
        if options.system is None:
            system = getattr(instance, "access_system", prefix)
            options = replace(
                options,
                system=system,
                grants=_in_system(options.grants, system),
                revokes=_in_system(options.revokes, system),
            )
        return Step(
            self.function.__get__(instance),
            f"{prefix}.{self.name}",
            options,
            verify=None if verify is None else verify.__get__(instance),
            owner=instance,
        )

    async def called(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the code itself, as one attempt does; plain functions run where they are.

        Raises OutsideRun for a transactional step: its connection comes with an attempt.
        """
        if self.options.transactional:
            raise OutsideRun(act=self.name)
        answer = self.function(*args, **kwargs)
        if self.is_async:
            return await cast("Awaitable[R]", answer)
        return cast("R", answer)

    plain = called

    @property
    def is_async(self) -> bool:
        """Whether the code is a coroutine function; a plain one runs in a thread."""
        return self._code.is_async

    @property
    def result(self) -> Codec[R]:
        """How outcomes of this step are written and read; raises NotJournalable (F701, F702)."""
        return cast("Codec[R]", self._code.result)

    @cached_property
    def title(self) -> str:
        """What people read instead of the name: the option, else the docstring's first sentence."""
        said = (self.__doc__ or "").strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        return self.options.title or said or self.name

    @property
    def skips(self) -> int:
        """How many parameters of the code are not the caller's: the connection, if there is one."""
        return self._code.skips

    @property
    def signature(self) -> inspect.Signature:
        """The parameters as whoever calls the step sees them."""
        return self._code.signature

    @property
    def _parameters(self) -> list[tuple[str, inspect.Parameter, Codec[object]]]:
        return self._code.parameters

    def arguments(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """The call's arguments as canonical JSON, without those that equal their default.

        Adding a parameter with a default therefore changes no fingerprint.
        """
        if not args and not kwargs:
            return b"{}"
        shape: dict[str, orjson.Fragment | object] = {}
        for index, (name, parameter, codec) in enumerate(self._parameters):
            kind = parameter.kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                if len(args) > index:
                    shape[name] = [orjson.loads(codec.dump(value)) for value in args[index:]]
                continue
            if kind is inspect.Parameter.VAR_KEYWORD:
                named = {each for each, _, _ in self._parameters} - {name}
                rest = {each: value for each, value in kwargs.items() if each not in named}
                if rest:
                    shape[name] = {
                        each: orjson.loads(codec.dump(value)) for each, value in rest.items()
                    }
                continue
            if index < len(args) and kind is not inspect.Parameter.KEYWORD_ONLY:
                value = args[index]
            elif name in kwargs:
                value = kwargs[name]
            else:
                continue
            if parameter.default is inspect.Parameter.empty or value != parameter.default:
                shape[name] = orjson.loads(codec.dump(value))
        return orjson.dumps(shape, option=orjson.OPT_SORT_KEYS)

    def described(
        self, template: str, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> str:
        """Fill a template of the step's metadata with the arguments of a call.

        Templates name parameters and their attributes: `org/{username}`, `{person.ref}`.
        Raises DefinitionError where the template or the call does not fit the parameters.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return template.format_map(bound.arguments)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DefinitionError(
                f"The template {template!r} of `{self.name}` does not fit its call: {error}.",
                fix="name parameters of the step and their attributes, and give all of them.",
            ) from error

    def remembered(self, template: str, document: Mapping[str, object]) -> str | None:
        """Fill a template with arguments as `arguments` wrote them, in earlier code perhaps.

        None where they do not fit the parameters of today.
        """
        try:
            known = {name: each.default for name, each, _ in self._parameters}
            known |= {
                name: codec.load(orjson.dumps(document[name]))
                for name, _, codec in self._parameters
                if name in document
            }
            return template.format_map(known)
        except (AttributeError, LookupError, TypeError, ValueError, OutcomeUnreadable):
            return None

    def effect_key(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes | None:
        """What the call would bring into being, as 16 bytes shared by all runs; None if unnamed.

        Source: connectors document, §4.4.
        """
        if self.options.natural_key is None:
            return None
        natural = self.described(self.options.natural_key, args, kwargs)
        return hashlib.sha256(f"{self.name}\0{natural}".encode()).digest()[:16]

    def checked(self) -> Step[P, R]:
        """Resolve every annotation now; raises NotJournalable naming the parameter."""
        _ = self.result, self._parameters
        return self


def _of_instance(names: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Put the instance's name before former names that have none."""
    return tuple(name if "." in name else f"{prefix}.{name}" for name in names)


def _in_system(template: str | None, system: str) -> str | None:
    """Put the instance's name into an entitlement: `{system}:account` is its own in each."""
    return None if template is None else template.replace("{system}", system)


def plain_function(found: Any) -> Any:  # Any: a step or the function it was made of
    """Give the function behind a step; any other callable as it is."""
    return cast("Step[..., Any]", found).function if isinstance(found, Step) else found


class _Decorator:
    """`@step(…)` with its options, waiting for the function."""

    def __init__(
        self,
        name: str | None,
        options: StepOptions,
        verify: Callable[..., Awaitable[Verdict[Any]]] | None,  # Any: checked by the overload
    ) -> None:
        self._name = name
        self._options = options
        self._verify = verify

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Step[..., Any]:  # Any: as the overloads
        """Make the step; raises Refused with all that is wrong with it."""
        verify = plain_function(self._verify)
        name = checked_name(self._name or function.__name__)
        refusals.check(refusals.declared_step(function, name, self._options, verify))
        return Step(function, name, self._options, verify=verify)


class _Verified(Protocol[P, R]):
    """`@step(verify=…)`: the function has the parameters and the result of its look-up."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


class _Transactional(Protocol):
    """`@step(transactional=True)`: the connection comes first, and callers do not see it."""

    def __call__(
        self, function: Callable[Concatenate[Connection, P], Awaitable[R]], /
    ) -> Step[P, R]: ...


class _Common(TypedDict, total=False):
    """Options that every step may have; their meanings: `step`."""

    name: str | None
    title: str | None
    retry: Retry | None
    timeout: timedelta
    raises: type[Exception] | tuple[type[Exception], ...]
    exhausted: Literal["park", "fail"]
    on_amend: OnAmend
    on_heal: Literal["resume", "ask"]
    system: str | None
    grants: str | None
    level: str | None
    revokes: str | None
    runbook: str | None
    reversible: bool | None
    sends_email: bool
    formerly: str | tuple[str, ...]


@overload
def step(function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    verify: Callable[P, Awaitable[Verdict[R]]],
    in_doubt: InDoubt = "ask",
    pool: Pool = "thread",
    **more: Unpack[_Common],
) -> _Verified[P, R]: ...
@overload
def step(*, transactional: Literal[True], **more: Unpack[_Common]) -> _Transactional: ...
@overload
def step(
    *, in_doubt: InDoubt = "ask", pool: Pool = "thread", **more: Unpack[_Common]
) -> _Decorator: ...
def step(
    function: Callable[..., Any] | None = None,  # Any: the overloads say what
    /,
    *,
    verify: Callable[..., Awaitable[Verdict[Any]]] | None = None,  # Any: the step's own result
    in_doubt: InDoubt = "ask",
    pool: Pool = "thread",
    transactional: bool = False,
    **more: Unpack[_Common],
) -> Any:  # Any: as above
    """Declare a step: work whose outcome is kept and that is never done twice by itself.

    name, title: part of the key; label. verify: looks in doubt, with the step's own parameters.
    in_doubt: what follows where nobody looks or can tell, `"repeat"` or `"ask"`. retry: the
    schedule of its rounds. timeout: of one attempt. raises: exceptions that are an answer.
    exhausted: after the last round, `"park"` or `"fail"`. on_amend: a finished step whose input
    was amended, `"ask"`, `"redo"` or `"keep"`. on_heal: after an outage, `"resume"` or `"ask"`.
    pool: a plain function's place, `"thread"` or `"process"`. transactional: its SQL rides in the
    outcome's transaction. system, grants, level, revokes: what it works on, and what may be done
    with what it gives. runbook, reversible, sends_email: facts for people and checks. formerly:
    names it had. Raises Refused (F701 to F708).
    """
    name, answers = more.pop("name", None), more.pop("raises", ())
    facts: Any = more  # Any: the remaining options, which StepOptions has by the same names
    options = StepOptions(
        in_doubt=in_doubt,
        pool=pool,
        transactional=transactional,
        raises=answers if isinstance(answers, tuple) else (answers,),
        formerly=former(more.pop("formerly", ())),
        **facts,
    )
    decorator = _Decorator(name, options, verify)
    return decorator if function is None else decorator(function)
