"""`@operation`: a step on another system, that goes its way, looks first and refuses by name.

What it declares stands in `declaring`; here is what surrounds its code: the way that plan and token
allow, an approval where it asks for one, the scopes that a refusal names, and `verify`, which is
the operation itself up to its first change.
Source: connectors document, §3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, ParamSpec, TypeVar, cast

from newel.base.errors import Forbidden, Invalid
from newel.connectors.capability import BY_HAND, ByHand, Chosen, Route, Way
from newel.connectors.declaring import Declared, Idempotency, Mail, check
from newel.connectors.looking import AFTER_DOUBT, WouldChange, is_looking, looking, on_way
from newel.connectors.shadow import shadowed
from newel.domain.keys import checked_name, former
from newel.domain.people import Person
from newel.domain.values import Absent, Found, InDoubt
from newel.flow.context import ATTEMPT
from newel.flow.step import DEFAULT_TIMEOUT, Step, StepOptions, Verdict

__all__ = ["operation"]

P = ParamSpec("P")
R = TypeVar("R")


def operation(
    *,
    idempotency: Idempotency,
    needs: tuple[str, ...],
    natural_key: str | None = None,
    path: Route = "admin_api",
    ways: tuple[Way, ...] = (),
    by_hand: ByHand | None = None,
    grants: str | None = None,
    revokes: str | None = None,
    level: str | None = None,
    undo: str = "",
    reversible: str = "",
    sends_email: Mail = "none",
    moves_money: bool = False,
    bucket: str = "",
    spec: tuple[str, ...] = (),
    reads: tuple[str, ...] = (),
    settle: tuple[float, ...] = (0,),
    unclear: InDoubt = "ask",
    verify: Callable[..., Awaitable[Verdict[Any]]] | None = None,  # Any: the operation's result
    approval: str | None = None,
    locks_out: bool = False,
    doubles: str = "",
    timeout: timedelta = DEFAULT_TIMEOUT,
    title: str | None = None,
    on_amend: Literal["ask", "redo", "keep"] = "ask",
    formerly: str | tuple[str, ...] = (),
) -> Callable[[Callable[P, Awaitable[R]]], Step[P, R]]:
    """Declare a method of a connector as an operation; it becomes a step that verifies.

    path: the one way there is; else ways, in order. by_hand: how a person does it where no way is
    open. verify: for operations whose own look-up cannot tell; default: the operation itself, run
    up to its first change. Raises DefinitionError naming the operation and the remedy.
    """
    facts = Declared(
        idempotency=idempotency,
        ways=ways or (Way(path=path),),
        by_hand=by_hand,
        reversible=reversible,
        undo=undo,
        sends_email=sends_email,
        moves_money=moves_money,
        needs=needs,
        spec=spec,
        reads=reads,
        bucket=bucket,
        settle=settle,
        approval=approval,
        locks_out=locks_out,
        doubles=doubles,
    )
    options = StepOptions(
        title=title,
        in_doubt="repeat" if idempotency == "read" else unclear,
        timeout=timeout,
        grants=grants,
        revokes=revokes,
        level=level,
        natural_key=natural_key,
        on_amend=on_amend,
        formerly=former(formerly),
        facts=facts.facts(),
    )

    def decorated(function: Callable[P, Awaitable[R]]) -> Step[P, R]:
        name = checked_name(function.__name__)
        check(name, facts, options, has_verify=verify is not None)
        performed = shadowed(
            _naming_needs(_going(_addressed(function, natural_key), facts), facts),
            gives=grants is not None,
            first=(*facts.spec, *facts.reads)[0],
        )
        look = _own_look(performed, facts) if verify is None else _only_looking(verify)
        return Step(performed, name, options, verify=look)

    return decorated


def _addressed(
    function: Callable[P, Awaitable[R]], natural_key: str | None
) -> Callable[P, Awaitable[R]]:
    """Let an operation that goes by a work address refuse whoever has none yet."""
    if natural_key is None or "{person.email}" not in natural_key:
        return function

    @functools.wraps(function)
    async def addressed(*args: P.args, **kwargs: P.kwargs) -> R:
        people = (each for each in (*args, *kwargs.values()) if isinstance(each, Person))
        if any(not each.email for each in people):
            raise Invalid(
                "They have no work address yet: reserve one first, `person.at(address.email)`.",
                fields={"email": "is empty"},
            )
        return await function(*args, **kwargs)

    return addressed


def _going(function: Callable[P, Awaitable[R]], facts: Declared) -> Callable[P, Awaitable[R]]:
    """Let an operation with a choice go the way that the attempt was given, else the first open.

    Where only a person can do it, it looks; raises Forbidden where that is not enough.
    """
    if not facts.has_choice:
        return function

    @functools.wraps(function)
    async def going(*args: P.args, **kwargs: P.kwargs) -> R:
        chosen = _chosen(args[0], facts)
        if chosen.path is None:
            raise Forbidden(f"{chosen.sentence} There is no other way.", reason="permission")
        if chosen.path != BY_HAND:
            with on_way(chosen.path):
                return await function(*args, **kwargs)
        try:
            with looking(), on_way(chosen.path):
                return await function(*args, **kwargs)
        except WouldChange:
            if is_looking() or facts.by_hand is None:
                raise
            raise Forbidden(
                f"{chosen.sentence} A person has to {facts.by_hand.title}, then this step is "
                "completed by hand.",
                reason="blocked",
            ) from None

    return going


def _chosen(owner: Any, facts: Declared) -> Chosen:  # Any: the connector, told by the caller
    attempting = ATTEMPT.get()
    if attempting is None or attempting.way is None:
        return facts.chosen_by(owner)
    return Chosen(path=cast("Route", attempting.way))


def _naming_needs(
    function: Callable[P, Awaitable[R]], facts: Declared
) -> Callable[P, Awaitable[R]]:
    """Name the scopes that are needed where a system refuses without saying what it misses."""

    @functools.wraps(function)
    async def performed(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_unapproved(facts)
        try:
            return await function(*args, **kwargs)
        except Forbidden as refused:
            if refused.reason == "permission" and refused.missing is None:
                refused.missing = ", ".join(facts.needs)
                refused.message = f"{refused.message} It needs {refused.missing}."
                refused.args = (refused.message,)
            raise

    return performed


def _refuse_unapproved(facts: Declared) -> None:
    """Send nothing that asks for an approval from a run in which nobody has approved just this.

    Raises Forbidden; looking is free.
    """
    attempting = ATTEMPT.get()
    if facts.approval is None or is_looking() or attempting is None or attempting.is_approved:
        return
    raise Forbidden(
        f"Nobody has approved exactly this: it asks for an approval ({facts.approval}) that names "
        "the call in `allows=`. Nothing was sent.",
        reason="blocked",
    )


def _own_look(
    function: Callable[..., Awaitable[R]], facts: Declared
) -> Callable[..., Awaitable[Verdict[R]]]:
    """Build `verify` from the operation: run it until it would change something."""

    @functools.wraps(function)
    async def verify(*args: Any, **kwargs: Any) -> Verdict[R]:  # Any: the operation's own
        if facts.idempotency == "read":
            return Absent()
        with looking():
            try:
                value = await function(*args, **kwargs)
            except WouldChange:
                return Absent()
        _count_as_ours()
        return Found(value)

    return verify


def _only_looking(
    verify: Callable[..., Awaitable[Verdict[Any]]],  # Any: the operation's result
) -> Callable[..., Awaitable[Verdict[Any]]]:
    """Keep a connector's own `verify` from changing anything."""

    @functools.wraps(verify)
    async def guarded(*args: Any, **kwargs: Any) -> Verdict[Any]:  # Any: the operation's own
        with looking():
            return await verify(*args, **kwargs)

    return guarded


def _count_as_ours() -> None:
    """Say of what verify found that the call whose answer was lost has made it."""
    attempting = ATTEMPT.get()
    if attempting is None or attempting.observed.effect is None:
        return
    effect = attempting.observed.effect
    if effect.path == BY_HAND:
        return
    if AFTER_DOUBT not in effect.evidence:
        evidence = f"{effect.evidence}, {AFTER_DOUBT}" if effect.evidence else AFTER_DOUBT
        effect = replace(effect, evidence=evidence)
    attempting.observed.effect = replace(effect, changed=True)
