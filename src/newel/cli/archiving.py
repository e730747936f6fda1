"""Old events: into the archive, and then out of the database."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from newel.cli.output import say, say_json, say_ordered
from newel.cli.parameters import AsJson, Confirm, NamedActor, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from newel.base.settings import Settings
    from newel.engine.archiving import Archived, Pruned
    from newel.engine.engine import Engine
    from newel.store.database import Database

__all__ = ["archive", "prune"]


def archive(
    *,
    before: Annotated[
        date | None,
        Parameter(help="Up to the newest head signed before this day, UTC: 2026-01-31."),
    ] = None,
    reason: Reason = "",
    actor: NamedActor = "",
    as_json: AsJson = False,
) -> None:
    """Bring the archive of the log up to a checkpoint that is kept elsewhere, and verify it there.

    It lies where the setting `log_archive` says. Nothing leaves the database by this.
    """
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine, key_holder

    settings = load_settings()
    moment = datetime.max.replace(tzinfo=UTC) if before is None else _begin(before)

    async def archived() -> list[Archived]:
        async with found_engine(new=False) as engine:
            acting = await engine.actor(actor or None, via="cli")
            kept = engine.archiving(key_holder(settings), settings.keep_log)
            return await kept.archive(actor=acting, reason=reason, before=moment)

    done = carried_out(archived())
    if as_json:
        return say_json({each.origin: each.size for each in done})
    for each in done:
        say(f"{each.origin}: {each.size} entries are in the archive, and it verifies.")
    return say(f"It lies in {settings.archive_directory}.")


def prune(
    *,
    force: Annotated[
        bool, Parameter(negative=(), help="Although `keep_log` is less than a year.")
    ] = False,
    reason: Reason = "",
    actor: NamedActor = "",
    confirm: Confirm = False,
    as_json: AsJson = False,
) -> None:
    """Remove events older than the setting `keep_log` that lie in the archive.

    Only of runs that have ended; how they began and ended, what was decided and what access they
    changed stays. So do all leaves, tiles and checkpoints: every proof can still be made.
    """
    from newel.base.settings import load_settings
    from newel.cli.deployment import carried_out, found_engine, key_holder
    from newel.engine.four_eyes import Ordered

    settings = load_settings()

    async def pruned() -> Pruned | Ordered:
        async with found_engine(new=False) as engine, _pruning(engine, settings) as database:
            acting = await engine.actor(actor or None, via="cli")
            kept = engine.archiving(key_holder(settings), settings.keep_log, database)
            return await kept.prune(actor=acting, reason=reason, is_forced=force, confirms=confirm)

    done = carried_out(pruned())
    if isinstance(done, Ordered):
        return say_json({"until": done.expires_at}) if as_json else say_ordered(done.expires_at)
    if as_json:
        told = {"runs": done.runs, "events": done.events, "min_index": done.min_index}
        return say_json(told)
    return say(f"{done.events} events of {done.runs} runs were removed; the archive has them.")


@contextlib.asynccontextmanager
async def _pruning(engine: Engine, settings: Settings) -> AsyncIterator[Database]:
    """Give the database as the role that may remove events, if the settings name one."""
    from newel.store.database import Database

    if settings.pruning_url is None:
        yield engine.database
        return
    database = await Database.open(
        settings.pruning_url, size=2, listeners=engine.database.listeners
    )
    try:
        yield database
    finally:
        await database.close()


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
