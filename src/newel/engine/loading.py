"""Runs from the database into memory: rows, history and open acts, for many runs at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from newel.audit.leaf import ProcessVersion
from newel.base.errors import DefinitionError, NewelError
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.change import Head
from newel.engine.children import ChildEnd, Relatives
from newel.engine.history import BY_PEOPLE, History
from newel.engine.runner import Loaded
from newel.engine.starting import Start
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.store import journal, runs
from newel.store.database import Connection, Row


async def load(
    connection: Connection,
    wanted: Sequence[UUID],
    processes: Mapping[str, Process[..., Any]],
    vault: Vault,
    versions: Mapping[str, int] | None = None,
    unreadable: Callable[[UUID, NewelError], None] | None = None,
) -> list[Loaded]:
    """Read all that is needed to drive the given runs; those of unknown processes are left out.

    versions: the version number of the code at hand, by process.
    unreadable: told of a run whose journal cannot be opened, for want of its key or of its sense:
    the others must not suffer for it. Without it that is raised.
    """
    rows = await runs.load(connection, wanted)
    pasts = await journal.outcomes(connection, wanted)
    acts = await journal.open_acts(connection, wanted)
    past_of: dict[UUID, list[Row]] = defaultdict(list)
    for past in pasts:
        past_of[past["stream_id"]].append(past)
    acts_of: dict[UUID, dict[str, OpenAct]] = defaultdict(dict)
    for act in acts:
        acts_of[act["run_id"]][act["key"]] = OpenAct.of(act)
    ends, free = await _ends(connection, acts, vault), await _free(connection, acts)
    loaded: list[Loaded] = []
    for row in rows:
        run, process = row["id"], processes.get(row["process"])
        if process is None:
            continue
        current = _current(process, versions or {})
        try:
            loaded.append(
                loaded_from(
                    row,
                    past_of[run],
                    acts_of[run],
                    process,
                    vault,
                    current=current,
                    relatives=Relatives(ends, free.get(run, frozenset())),
                )
            )
        except NewelError as error:
            if unreadable is None:
                raise
            unreadable(run, error)
    return loaded


async def _ends(connection: Connection, acts: Sequence[Row], vault: Vault) -> dict[str, ChildEnd]:
    """How the runs that acts wait for have ended, as far as they have; by reference."""
    awaited = {
        parse_reference(act["match"])[1]
        for act in acts
        if act["kind"] == "child" and act["match"] is not None
    }
    if not awaited:
        return {}
    ends: dict[str, ChildEnd] = {}
    for row in await runs.ends(connection, sorted(awaited)):
        sealer = vault.sealer(row["id"], row["subject"], row["key_n"], row["wrapped"])
        text = b"cancelled" if row["payload"] is None else sealer.open(row["payload"])
        if row["state"] == "failed":
            text = orjson.loads(text)["message"].encode()
        ends[reference("run", row["id"])] = ChildEnd(state=row["state"], text=text)
    return ends


async def _free(connection: Connection, acts: Sequence[Row]) -> dict[UUID, frozenset[str]]:
    """Keys by run that may have the lock they wait for."""
    waiting = {act["run_id"] for act in acts if (act["kind"], act["state"]) == ("lock", "open")}
    if not waiting:
        return {}
    found: dict[UUID, set[str]] = defaultdict(set)
    for row in await journal.free_locks(connection, sorted(waiting)):
        found[row["run_id"]].add(row["key"])
    return {run: frozenset(keys) for run, keys in found.items()}


def _current(process: Process[..., Any], versions: Mapping[str, int]) -> ProcessVersion | None:
    number = versions.get(process.name)
    if number is None:
        return None
    return ProcessVersion(
        name=process.name, version=number, definition_sha256=process.definition_sha256
    )


def with_former(processes: Mapping[str, Process[..., Any]]) -> dict[str, Process[..., Any]]:
    """Processes by their names, and by the names that they had.

    Raises DefinitionError (F307) for a former name that is in use.
    """
    found = dict(processes)
    for process in processes.values():
        for name in process.formerly:
            if name in found:
                raise DefinitionError(
                    f"`formerly=` of the process `{process.name}` names `{name}`, which is the "
                    f"name of another one.",
                    fix="take the name out of `formerly=`.",
                    code="F307",
                )
            found[name] = process
    return found


def known_versions(
    processes: Mapping[str, Process[..., Any]], versions: Mapping[str, int]
) -> dict[str, int]:
    """The version number of each process; what goes by a former name is older than any."""
    return {
        name: versions.get(name, 1) if process.name == name else 0
        for name, process in processes.items()
    }


def loaded_from(
    row: Row,
    past: Sequence[Row],
    acts: dict[str, OpenAct],
    process: Process[..., Any],
    vault: Vault,
    *,
    current: ProcessVersion | None = None,
    relatives: Relatives | None = None,
) -> Loaded:
    """Put one run together; current: the version of the code at hand."""
    run: UUID = row["id"]
    sealer = vault.sealer(run, row["subject"], row["key_n"], row["wrapped"])
    head = Head(
        id=run,
        stream=f"run/{reference('run', run)}",
        seq=row["seq"],
        hash=row["head"],
        last_at=row["last_at"],
    )
    return Loaded(
        id=run,
        process=process,
        version=ProcessVersion(
            name=row["process"], version=row["version"], definition_sha256=row["sha256"]
        ),
        current=current,
        state=row["state"],
        subject=row["subject"],
        head=head,
        cancelling=row["cancelling"],
        as_of=row["as_of"],
        started_at=row["started_at"],
        seen=row["seen"] or 0,
        readings=row["readings"],
        history=History.of(past, sealer.open),
        open_acts=acts,
        sealer=sealer,
        is_paused=row["paused_at"] is not None,
        limit_at=row["limit_at"],
        is_overdue=row["is_overdue"],
        parent=row["parent_run"],
        relatives=relatives or Relatives(),
    )


def loaded_born(start: Start, head: Head, arguments: bytes, secret: bytes) -> Loaded:
    """Put together a run that is started here and now; nothing of it has been read."""
    return Loaded(
        id=start.run,
        process=start.process,
        version=start.definition,
        state="running",
        subject=start.subject,
        head=head,
        cancelling=False,
        as_of=start.at,
        started_at=start.at,
        history=History(
            arguments=arguments,
            secret=secret,
            started_by=start.actor.id,
            is_by_person=start.actor.person is not None and start.source in BY_PEOPLE,
        ),
        open_acts={},
        sealer=start.sealer,
        limit_at=start.process.limits.ends_at(start.at),
    )
