"""`newel doctor`: what is wrong with this deployment, why it matters, and what helps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.engine.doctor import Finding

__all__ = ["doctor"]

SOUND = 0
BROKEN = 1
DOUBTFUL = 2


def doctor(*, as_json: AsJson = False) -> int:
    """Examine the database and the deployment; changes nothing.

    The status is 0 if all is well, 1 with an error, 2 with warnings only.
    """
    from newel.cli.deployment import carried_out

    found = carried_out(_examined())
    status = _status(found)
    if as_json:
        say_json({"status": status, "findings": [asdict(each) for each in found]})
        return status
    for each in found:
        say(_told(each))
    say(_summary(found))
    return status


async def _examined() -> list[Finding]:
    from newel.base.settings import load_settings
    from newel.cli.deployment import database_server
    from newel.engine.anchor_places import examined_anchors, server_of
    from newel.engine.doctor import Finding, examined
    from newel.store.database import LOST, Database

    settings = load_settings()
    async with database_server(settings, new=False) as dsn:
        database: Database | None = None
        try:
            database = await Database.open(dsn, size=2)
            found = await examined(database)
            if not any(each.code == "schema" for each in found):
                base, server = settings.data_directory, server_of(dsn)
                places = settings.anchors
                found += await examined_anchors(database, places, base=base, server=server)
            return found
        except LOST as lost:
            return [
                Finding(
                    code="reachable",
                    level="error",
                    what=f"The database does not answer: {type(lost).__name__}.",
                    why="Nothing of newel works without it.",
                    fix="Check the setting `database_url` and the server.",
                )
            ]
        finally:
            if database is not None:
                await database.close()


def _status(found: list[Finding]) -> int:
    if any(each.level == "error" for each in found):
        return BROKEN
    return DOUBTFUL if found else SOUND


def _told(each: Finding) -> str:
    lines = [f"{each.level.upper()} {each.code}: {each.what}", f"  Why: {each.why}"]
    if each.where:
        lines.append(f"  Where: {', '.join(each.where)}")
    return "\n".join([*lines, f"  Fix: {each.fix}", ""])


def _summary(found: list[Finding]) -> str:
    if not found:
        return "All is well."
    errors = sum(each.level == "error" for each in found)
    return f"{errors} errors, {len(found) - errors} warnings."
