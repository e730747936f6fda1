"""Runs from the database into memory: rows, history and open acts, for many runs at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from newel.audit.leaf import ProcessVersion
from newel.base.ids import reference
from newel.domain.acts import OpenAct
from newel.domain.change import Head
from newel.engine.history import History
from newel.engine.runner import Loaded
from newel.engine.vault import Vault
from newel.flow.process import Process
from newel.store import journal, runs
from newel.store.database import Connection, Row


async def load(
    connection: Connection,
    wanted: Sequence[UUID],
    processes: Mapping[str, Process[..., Any]],
    vault: Vault,
) -> list[Loaded]:
    """Read all that is needed to drive the given runs; those of unknown processes are left out."""
    rows = await runs.load(connection, wanted)
    pasts = await journal.outcomes(connection, wanted)
    acts = await journal.open_acts(connection, wanted)
    past_of: dict[UUID, list[Row]] = defaultdict(list)
    for past in pasts:
        past_of[past["stream_id"]].append(past)
    acts_of: dict[UUID, dict[str, OpenAct]] = defaultdict(dict)
    for act in acts:
        acts_of[act["run_id"]][act["key"]] = OpenAct.of(act)
    return [
        loaded_from(row, past_of[row["id"]], acts_of[row["id"]], processes[row["process"]], vault)
        for row in rows
        if row["process"] in processes
    ]


def loaded_from(
    row: Row,
    past: Sequence[Row],
    acts: dict[str, OpenAct],
    process: Process[..., Any],
    vault: Vault,
) -> Loaded:
    """Put one run together."""
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
        state=row["state"],
        subject=row["subject"],
        head=head,
        cancelling=row["cancelling"],
        as_of=row["as_of"],
        started_at=row["started_at"],
        history=History.of(past, sealer.open),
        open_acts=acts,
        sealer=sealer,
    )
