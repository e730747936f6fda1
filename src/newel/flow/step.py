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
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar, cast, overload

import orjson

from newel.base.codec import Codec, codec_of
from newel.base.errors import DefinitionError
from newel.domain.keys import Subscript, checked_name, encoded, former, former_with_item
from newel.domain.retry import Retry
from newel.domain.values import Absent, Found, InDoubt, Unclear
from newel.flow.act import Act, Place, StepAct
from newel.flow.signature import hints_of

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")

Verdict = Found[R] | Absent | Unclear

DEFAULT_TIMEOUT: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """What an author may say of a step (authoring document, §4)."""

    title: str | None = None
    in_doubt: InDoubt = "ask"
    retry: Retry | None = None
    timeout: timedelta = DEFAULT_TIMEOUT
    raises: tuple[type[Exception], ...] = ()
    exhausted: Literal["park", "fail"] = "park"
    on_heal: Literal["resume", "ask"] = "resume"
    system: str | None = None
    grants: str | None = None
    revokes: str | None = None
    level: str | None = None
    natural_key: str | None = None
    on_amend: Literal["ask", "redo", "keep"] = "ask"
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
        )

    @overload
    def __get__(self, instance: None, owner: type) -> Step[P, R]: ...
    @overload
    def __get__(self: Step[Concatenate[T, Q], R], instance: T, owner: type) -> Step[Q, R]: ...
    def __get__(self, instance: object, owner: type) -> Step[..., R]:
        """Bind a method's step to its instance, whose `name` leads the key."""
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
            options = replace(
                options,
                system=prefix,
                grants=_in_system(options.grants, prefix),
                revokes=_in_system(options.revokes, prefix),
            )
        return Step(
            self.function.__get__(instance),
            f"{prefix}.{self.name}",
            options,
            verify=None if verify is None else verify.__get__(instance),
            owner=instance,
        )

    async def called(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the code itself, as one attempt does; plain functions run where they are."""
        answer = self.function(*args, **kwargs)
        if self.is_async:
            return await cast("Awaitable[R]", answer)
        return cast("R", answer)

    plain = called

    @cached_property
    def is_async(self) -> bool:
        """Whether the code is a coroutine function; a plain one runs in a thread."""
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def result(self) -> Codec[R]:
        """How outcomes of this step are written and read; raises NotJournalable (F701, F702)."""
        return cast("Codec[R]", codec_of(self._hints["return"]))

    @cached_property
    def _hints(self) -> dict[str, object]:
        return hints_of(self.function)

    @cached_property
    def _parameters(self) -> list[tuple[str, inspect.Parameter, Codec[object]]]:
        signature = inspect.signature(self.function)
        return [
            (name, parameter, codec_of(self._hints[name]))
            for name, parameter in signature.parameters.items()
        ]

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
            bound = inspect.signature(self.function).bind(*args, **kwargs)
            bound.apply_defaults()
            return template.format_map(bound.arguments)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DefinitionError(
                f"The template {template!r} of `{self.name}` does not fit its call: {error}.",
                fix="name parameters of the step and their attributes, and give all of them.",
            ) from error

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
        """Make the step."""
        verify = plain_function(self._verify)
        name = checked_name(self._name or function.__name__)
        return Step(function, name, self._options, verify=verify)


@overload
def step(function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    title: str | None = None,
    verify: Callable[..., Awaitable[Verdict[Any]]] | None = None,  # Any: the step's own result
    in_doubt: InDoubt = "ask",
    retry: Retry | None = None,
    timeout: timedelta = DEFAULT_TIMEOUT,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    exhausted: Literal["park", "fail"] = "park",
    on_heal: Literal["resume", "ask"] = "resume",
    on_amend: Literal["ask", "redo", "keep"] = "ask",
    system: str | None = None,
    grants: str | None = None,
    revokes: str | None = None,
    formerly: str | tuple[str, ...] = (),
) -> _Decorator: ...
def step(
    function: Callable[..., Any] | None = None,  # Any: the overloads say what
    /,
    *,
    name: str | None = None,
    title: str | None = None,
    verify: Callable[..., Awaitable[Verdict[Any]]] | None = None,  # Any: the step's own result
    in_doubt: InDoubt = "ask",
    retry: Retry | None = None,
    timeout: timedelta = DEFAULT_TIMEOUT,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    exhausted: Literal["park", "fail"] = "park",
    on_heal: Literal["resume", "ask"] = "resume",
    on_amend: Literal["ask", "redo", "keep"] = "ask",
    system: str | None = None,
    grants: str | None = None,
    revokes: str | None = None,
    formerly: str | tuple[str, ...] = (),
) -> Step[..., Any] | _Decorator:
    """Declare a step: work whose outcome is kept and that is never done twice by itself.

    Options: authoring document, §4. Raises DefinitionError where they contradict each other.
    """
    answers = raises if isinstance(raises, tuple) else (raises,)
    if Exception in answers or BaseException in answers:
        raise DefinitionError(
            "F708: `raises=Exception` would turn every fault into an answer. Fix: name the classes."
        )
    options = StepOptions(
        title=title,
        in_doubt=in_doubt,
        retry=retry,
        timeout=timeout,
        raises=answers,
        exhausted=exhausted,
        on_heal=on_heal,
        on_amend=on_amend,
        system=system,
        grants=grants,
        revokes=revokes,
        formerly=former(formerly),
    )
    decorator = _Decorator(name, options, verify)
    return decorator if function is None else decorator(function)
