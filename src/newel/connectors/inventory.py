"""The inventory: what can be done in which system, with which permission, and who answers for it.

Everything is read from declarations; no system is asked. An operation that no process is seen to
call is listed all the same, because its permission may have been given for it.
Source: product document, R37; connectors document, §8.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newel.base.errors import StepError
from newel.connectors.base import Connector
from newel.connectors.capability import BY_HAND
from newel.connectors.declaring import Declared, declared
from newel.flow.declarations import is_read, on_failure, window
from newel.flow.endpoints import Endpoint
from newel.flow.process import Process
from newel.flow.reading import steps
from newel.flow.step import Step

__all__ = ["Able", "Entry", "Reached", "able", "checked", "inventory", "reached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One operation of one system.

    ways: in the order in which they are tried, with the capability that each needs. goes: the one
    that is taken as far as is known now; why: that it is not an earlier one. needs: each of them,
    `a|b` for any one. sla: when it is done or a person knows that it is not. mails: whom the
    system writes to. reversible: `yes`, `with_loss`, `no`, `until:…`, or `-` for what changes
    nothing. undo: the operation that takes it back, or why there is none. used_by: processes that
    are seen to call it, sorted.
    """

    system: str
    title: str
    operation: str
    does: str
    ways: tuple[str, ...]
    goes: str
    why: str
    needs: tuple[str, ...]
    owner: str
    sla: str
    on_failure: str
    mails: str
    reversible: str
    undo: str
    approval: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A host that the configuration can reach, and for what."""

    host: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Able:
    """What plan and token of one system allow, or do not.

    state: `there`, `absent` or `lost`. checked_at: ISO 8601, None where only the declaration is
    known. why: what is missing, or why the system could not be asked.
    """

    system: str
    capability: str
    state: str
    checked_at: str | None
    why: str


def able(connectors: Iterable[Connector], unasked: Mapping[str, str]) -> list[Able]:
    """List what is known of the capabilities of each system, by system and name.

    unasked: why a system could not be asked.
    """
    return [
        Able(
            system=connector.name,
            capability=each.name,
            state=each.state,
            checked_at=None if at is None else at.isoformat(timespec="seconds"),
            why=each.why or unasked.get(connector.name, ""),
        )
        for connector in sorted(connectors, key=lambda each: each.name)
        for at in (connector.known_capabilities.checked_at,)
        for each in connector.known_capabilities.found
    ]


async def checked(connectors: Iterable[Connector]) -> dict[str, str]:
    """Ask every system that declares capabilities; gives why one could not be asked."""
    failed: dict[str, str] = {}
    for connector in (each for each in connectors if each.declared_capabilities()):
        try:
            check = await connector.check()
        except StepError as error:
            failed[connector.name] = str(error)
        else:
            connector.learn(check)
            if check.capabilities is None:
                failed[connector.name] = " ".join(check.notes) or "Its check was refused."
        finally:
            await connector.aclose()
    return failed


def inventory(
    connectors: Iterable[Connector],
    processes: Sequence[Process[..., Any]],  # Any: each has its own result
) -> list[Entry]:
    """List every operation of the connectors, by system and name."""
    users = _users(processes)
    return [
        _entry(connector, name, step, users.get((connector.name, name), ()))
        for connector in sorted(connectors, key=lambda each: each.name)
        for name, step in connector.operations().items()
    ]


def reached(
    connectors: Iterable[Connector],
    trackers: Iterable[object],
    endpoints: Iterable[Endpoint] = (),
) -> list[Reached]:
    """List the hosts that connectors, trackers and endpoints lead to, sorted, each once."""
    found: dict[tuple[str, str], None] = {}
    for connector in connectors:
        found |= dict.fromkeys((host, connector.name) for host in connector.hosts)
    for tracker in trackers:
        name = str(getattr(tracker, "channel", "tickets"))
        found |= dict.fromkeys((host, name) for host in getattr(tracker, "hosts", ()))
    found |= dict.fromkeys((each.host, each.name) for each in endpoints)
    return [Reached(host=host, by=by) for host, by in sorted(found)]


def _users(
    processes: Sequence[Process[..., Any]],  # Any: as above
) -> Mapping[tuple[str, str], tuple[Process[..., Any], ...]]:
    """Give the processes that are seen to call a step of a connector, by system and operation."""
    found: dict[tuple[str, str], dict[str, Process[..., Any]]] = {}
    for process in processes:
        for step in steps(process):
            if isinstance(step.owner, Connector):
                at = (step.owner.name, step.name.rpartition(".")[2])
                found.setdefault(at, {})[process.name] = process
    return {at: tuple(found[at][name] for name in sorted(found[at])) for at in found}


def _entry(
    connector: Connector,
    name: str,
    step: Step[..., Any],  # Any: each has its own signature
    users: tuple[Process[..., Any], ...],
) -> Entry:
    facts = declared(step)
    chosen = facts.chosen_by(connector)
    reads = is_read(step)
    return Entry(
        system=connector.name,
        title=connector.title,
        operation=name,
        does=step.options.title or name,
        ways=tuple(_ways(facts)),
        goes=chosen.path or "-",
        why=chosen.sentence,
        needs=facts.needs,
        owner=connector.owner,
        sla=", ".join(dict.fromkeys(window(step, each) for each in users or (None,))),
        on_failure=on_failure(step),
        mails=facts.sends_email,
        reversible="-" if reads else facts.reversible,
        undo="-" if reads else facts.undo,
        approval=facts.approval or "",
        used_by=tuple(each.name for each in users),
    )


def _ways(facts: Declared) -> Iterator[str]:
    for way in facts.ways:
        yield f"{way.path} ({way.capability})" if way.capability else way.path
    if facts.by_hand is not None:
        yield BY_HAND
