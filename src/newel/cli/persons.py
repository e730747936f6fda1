"""People whose time is over: erased by two, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from newel.base.errors import NotFound
from newel.base.ids import parse_reference
from newel.cli.output import moment, say, say_json, say_ordered
from newel.cli.parameters import AsJson, Confirm, NamedActor, Reason

if TYPE_CHECKING:
    from uuid import UUID

    from newel.engine import four_eyes
    from newel.engine.erasing import Erased, Ordered

__all__ = ["person"]

person: Final = App(name="person", help="Erase people for good, and change what keys lie under.")

_BEYOND: Final = (
    "What newel cannot reach: backups made before today, for as long as the key-encryption key of "
    "that time exists; log lines, exports and packages that left; tickets and messages in other "
    "systems; the person's accounts there."
)


@person.command
def erase(
    named: Annotated[str, Parameter(name="PERSON", help="Reference of the person: per_….")],
    /,
    *,
    confirm: Annotated[
        bool, Parameter(negative=(), help="Carry out what somebody else has ordered.")
    ] = False,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Erase a person: one orders it with a reason, somebody else confirms it within a day.

    Payloads, names and texts are emptied, the person's keys destroyed. Proofs stay valid.
    """
    who = _person(named)
    if confirm:
        done = _confirmed(who, actor)
        if as_json:
            told = {"person": done.person, "keys": done.keys, "runs": done.runs, "rows": done.rows}
            return say_json(told)
        say(f"{done.person} was erased: {done.keys} keys, the payloads of {done.runs} runs.")
        return say(_BEYOND)
    from newel.base.zones import local_zone

    order = _ordered(who, actor, reason)
    if as_json:
        return say_json({"person": order.person, "expires_at": order.expires_at})
    until = moment(order.expires_at, local_zone())
    return say(
        f"Somebody else has to confirm until {until}: "
        f"`newel person erase {order.person} --confirm --actor …`. It cannot be undone."
    )


@person.command
def hold(
    named: Annotated[str, Parameter(name="WHOM", help="A person, per_…, or a run, run_….")],
    /,
    *,
    release: Annotated[bool, Parameter(negative=(), help="End the hold instead.")] = False,
    reason: Reason = "",
    actor: NamedActor = "",
    confirm: Confirm = False,
) -> None:
    """Keep all that is about a person, or one run, whatever its time: neither emptied nor erased.

    Where two have to agree (`second_person = "strict"`), somebody else confirms a release.
    """
    from newel.cli.deployment import carried_out, found_engine

    is_run = named.startswith("run_")
    who = _referred(named, "run") if is_run else _person(named)

    async def held() -> four_eyes.Ordered | None:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            holds = engine.legal_hold
            if release:
                return await holds.release(
                    who, actor=acting, reason=reason, is_run=is_run, confirms=confirm
                )
            await holds.set(who, actor=acting, reason=reason, is_run=is_run)
            return None

    ordered = carried_out(held())
    if ordered is not None:
        return say_ordered(ordered.expires_at)
    return say(f"{named} is {'no longer' if release else 'now'} under legal hold.")


@person.command(name="rotate-key")
def rotate_key(
    *,
    retire: Annotated[
        bool, Parameter(negative=(), help="Destroy the key before; ten minutes later, or more.")
    ] = False,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Let another key-encryption key take the place of the one that people's keys lie under.

    From the destruction of the old one on, nobody reads in older backups who was erased since.
    """
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine, kek_place
    from newel.engine.rewrapping import Rewrapped

    async def rotated() -> Rewrapped | None:
        async with found_engine(new=False) as engine:
            keys = engine.rewrapping(kek_place(load_settings()))
            if retire:
                await keys.retire()
                return None
            acting = await engine.actor(actor or None, via="cli")
            return await keys.rotate(actor=acting, reason=reason)

    done = carried_out(rotated())
    if done is None:
        return say_json({"retired": True}) if as_json else say("The key before was destroyed.")
    if as_json:
        return say_json({"keys": done.keys, "rows": done.rows})
    say(f"{done.keys} keys and {done.rows} rows are under the new key.")
    return say("In ten minutes: `newel person rotate-key --retire`.")


def _ordered(who: UUID, actor: str, reason: str) -> Ordered:
    from newel.cli.deployment import carried_out, found_engine

    async def ordered() -> Ordered:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            return await engine.erasing.order(who, actor=acting, reason=reason)

    return carried_out(ordered())


def _confirmed(who: UUID, actor: str) -> Erased:
    from newel.cli.deployment import carried_out, found_engine

    async def confirmed() -> Erased:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            return await engine.erasing.confirm(who, actor=acting)

    return carried_out(confirmed())


def _person(named: str) -> UUID:
    return _referred(named, "person")


def _referred(named: str, kind: Literal["person", "run"]) -> UUID:
    """Read a reference; a name or an address is not enough for what cannot be undone."""
    try:
        prefix, found = parse_reference(named)
    except ValueError:
        prefix, found = "", None
    if prefix != {"person": "per", "run": "run"}[kind] or found is None:
        raise NotFound(kind=kind, reference=named)
    return found
