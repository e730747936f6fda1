"""`@operation`: a step on another system, with everything declared that others must know of it.

The declaration is data: the engine reads grants and doubt from it, the plan what can be taken
back and whose mailbox it reaches, the inventory which scopes are needed. What is missing or
contradicts itself is refused when the connector is imported.
Source: connectors document, §3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final, Literal, ParamSpec, TypeVar, cast, get_args

from newel.base.errors import DefinitionError, Forbidden, Invalid
from newel.connectors.capability import BY_HAND, ByHand, Chosen, Route, Way
from newel.connectors.looking import AFTER_DOUBT, WouldChange, is_looking, looking, on_way
from newel.connectors.shadow import shadowed
from newel.domain.keys import checked_name, former
from newel.domain.people import Person
from newel.domain.values import Absent, Found, InDoubt
from newel.flow.context import ATTEMPT
from newel.flow.step import DEFAULT_TIMEOUT, Step, StepOptions, Verdict
from newel.flow.waits import LONGEST_TITLE

__all__ = ["Declared", "declared", "operation"]

P = ParamSpec("P")
R = TypeVar("R")

Idempotency = Literal["read", "put", "natural", "marker", "client_id", "key_header", "append"]
Mail = Literal["none", "person", "admins"]

_REVERSIBLE: Final = ("yes", "with_loss", "no")
_LONGEST: Final = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What an operation says of itself, beside what every step says.

    idempotency: what makes a repeated call safe; `read` for operations that change nothing.
    Without a natural key what it makes belongs to this one act: (run, key).
    reversible: `yes`, `with_loss`, `no`, or `until:<condition>`. undo: an operation of the
    same connector, or `none: <reason>`. needs: smallest scopes, `a|b` for any one.
    spec, reads: operations of the vendor's specification that it may call.
    settle: seconds at which a negative look-up is repeated before it is believed.
    ways: in order; the first that plan and token allow is taken. by_hand: what stands behind them.
    locks_out: whether it takes access away for a while, though it ends no grant.
    """

    idempotency: Idempotency
    ways: tuple[Way, ...]
    by_hand: ByHand | None
    reversible: str
    undo: str
    sends_email: Mail
    moves_money: bool
    needs: tuple[str, ...]
    spec: tuple[str, ...]
    reads: tuple[str, ...]
    bucket: str
    settle: tuple[float, ...]
    approval: str | None
    locks_out: bool

    @property
    def has_choice(self) -> bool:
        """Whether plan and token decide how it is done, or whether it is done by hand."""
        return self.by_hand is not None or any(way.capability for way in self.ways)

    def chosen_by(self, connector: Any) -> Chosen:  # Any: one that knows what plan and token can do
        """Give the way that is open now; the only one, where there is no choice."""
        if not self.has_choice:
            return Chosen(path=self.ways[0].path)
        found: Chosen = connector.choose(self)
        return found

    def facts(self) -> Mapping[str, object]:
        """Give the declaration by name, as the step carries it."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def declared(step: Step[..., Any]) -> Declared:
    """Read the declaration back from an operation's step."""
    return Declared(**step.options.facts)  # type: ignore[arg-type]  # written by `facts`


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
        _check(name, facts, options, has_verify=verify is not None)
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


def _check(name: str, facts: Declared, options: StepOptions, *, has_verify: bool) -> None:
    """Refuse a declaration that is incomplete or contradicts itself, all findings at once."""
    findings = list(_findings(facts, options, has_verify=has_verify))
    if findings:
        wrong = "; ".join(what for what, _ in findings)
        raise DefinitionError(
            f"The operation `{name}` is declared wrongly: {wrong}.",
            fix="; ".join(fix for _, fix in findings) + ".",
            code="F709",
        )


def _findings(facts: Declared, options: StepOptions, *, has_verify: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    is_read = facts.idempotency == "read"
    if facts.idempotency not in get_args(Idempotency):
        found.append((f"unknown idempotency {facts.idempotency!r}", "one of the documented words"))
    if not facts.needs:
        found.append(("it names no scope", '`needs=("…",)`, or what the credential must be'))
    if not (facts.spec or facts.reads):
        found.append(("it names no operation of the vendor", "`spec=` and `reads=`"))
    if is_read and (facts.spec or options.revokes or facts.undo or facts.reversible):
        found.append(("a read changes nothing", "drop `spec`, `revokes`, `undo`, `reversible`"))
    if not is_read:
        found += _findings_of_change(facts, options, has_verify=has_verify)
    if options.level and not options.grants:
        found.append(("a level without a grant", "`grants=`"))
    if list(facts.settle) != sorted(set(facts.settle)) or facts.settle[:1] != (0,):
        found.append(("settle times do not ascend from 0", "`settle=(0, …)`"))
    if facts.by_hand is not None:
        found += _findings_by_hand(facts.by_hand)
    if facts.has_choice and has_verify:
        found.append(
            ("its `verify` would not know the way", "drop `verify=`: the look-up is enough")
        )
    if facts.moves_money and facts.approval is None:
        found.append(("it moves money without an approval", "`approval=`"))
    if options.timeout is None or not timedelta(0) < options.timeout <= _LONGEST:
        found.append(("its time-out is not within 60 seconds", "`timeout=seconds(20)`"))
    return found


def _findings_by_hand(by_hand: ByHand) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not 0 < len(by_hand.title) <= LONGEST_TITLE or by_hand.title.endswith("."):
        what = f"its work by hand has no title of at most {LONGEST_TITLE} characters"
        found.append((what, '`title="invite them in …"`, without a full stop'))
    if not by_hand.how:
        found.append(("it does not say how it is done by hand", '`how=("…",)`'))
    if any("{person" in each for each in (by_hand.title, *by_hand.how)):
        found.append(("its instructions name a person", "say `them`: the task shows whom"))
    return found


def _findings_of_change(
    facts: Declared, options: StepOptions, *, has_verify: bool
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not facts.spec:
        found.append(("it changes something by no known call", "`spec=`"))
    if options.natural_key is None and facts.idempotency in {"put", "natural"}:
        found.append(("it does not say what it looks up", "`natural_key=`"))
    if facts.reversible not in _REVERSIBLE and not facts.reversible.startswith("until:"):
        found.append(("it does not say whether it can be taken back", "`reversible=`"))
    if not facts.undo:
        found.append(("it has no undo", '`undo="operation"`, or `undo="none: reason"`'))
    if facts.idempotency == "append" and not has_verify and options.natural_key is None:
        found.append(("nothing makes a repeat safe", "`verify=`, or a `natural_key=`"))
    return found
