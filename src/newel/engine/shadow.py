"""What a run would have done in systems that are in shadow: its journal says, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from newel.connectors.base import Connector
from newel.connectors.declaring import Mail, declared
from newel.store import journal
from newel.store.database import Database

__all__ = ["Would", "would_have"]

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Would:
    """One step in shadow. call: what it would have asked for first; empty for nothing.

    mails: whose mailbox that would have reached. gives, takes: the entitlement, as it is declared.
    """

    key: str
    system: str
    call: str
    mails: Mail
    gives: str
    takes: str


async def would_have(
    database: Database, connectors: Iterable[object], run: UUID
) -> tuple[Would, ...]:
    """Read what a run would have done, in the order in which it came to it."""
    known = {each.name: each for each in connectors if isinstance(each, Connector)}
    found: list[Would] = []
    after = 0
    while rows := await journal.events(database, run, after=after, how_many=_PAGE):
        after = rows[-1]["seq"]
        for row in rows:
            if row["type"] != "step.succeeded":
                continue
            would = orjson.loads(row["entry"])["data"].get("would")
            if would is not None:
                found.append(_would(row["key"], would, known))
    return tuple(found)


def _would(key: str, call: str, known: dict[str, Connector]) -> Would:
    name = key.rpartition("/")[2].partition("#")[0].partition("[")[0]
    system, _, operation = name.partition(".")
    connector = known.get(system)
    step: Any = None if connector is None else connector.operations().get(operation)
    mails: Mail = "none" if step is None or not call else declared(step).sends_email
    grants, revokes = (None, None) if step is None else (step.options.grants, step.options.revokes)
    return Would(
        key=key,
        system=system,
        call=call,
        mails=mails,
        gives=(grants or "").replace("{system}", system),
        takes=(revokes or "").replace("{system}", system),
    )
