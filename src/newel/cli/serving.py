"""The programs that go on: the server of API and console, a worker, both for development.

They end on Ctrl-C and on SIGTERM alike, with status 0: attempts that are under way end within
the grace period, runs are given back, connections are closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.base.settings import Settings
    from newel.cli.deployment import Deployment

__all__ = ["dev", "migrate", "serve", "worker"]

_WORKERS_POOL: Final = 2
Host = Annotated[str | None, Parameter(help="Address to listen on; default: the setting `host`.")]
Port = Annotated[int | None, Parameter(help="Port; 0 takes a free one; default: the setting.")]


def serve(*, host: Host = None, port: Port = None, as_json: AsJson = False) -> None:
    """Serve the API and the console, until Ctrl-C."""
    from newel.cli.deployment import carried_out, engine_of, opened
    from newel.cli.programs import asked_to_stop, log_lines, tells, web_server
    from newel.engine.service_events import on_record

    settings = _settings(host, port)

    async def served() -> None:
        with log_lines("serve", settings) as teller:
            async with opened(settings) as deployment:
                engine = await engine_of(deployment)
                engine.teller = teller
                async with web_server(engine, settings) as address:
                    if as_json:
                        say_json({"address": address}, on_one_line=True)
                    else:
                        say(f"newel is at {address}")
                    # After the address, which whoever starts this program reads first.
                    async with on_record(deployment.database, "serve", tells(engine)):
                        await asked_to_stop()

    carried_out(served())


def worker() -> None:
    """Drive runs, until Ctrl-C; each event is a line of JSON, on standard output or where set."""
    from newel.cli.deployment import carried_out, opened
    from newel.cli.programs import asked_to_stop, log_lines, working
    from newel.engine.tuning import collect_rarely

    settings = _settings(None, None)

    async def worked() -> None:
        collect_rarely()
        pool = _WORKERS_POOL  # three more are its own: for claims, for commits, for the heartbeat
        with log_lines("worker", settings) as teller:
            async with (
                opened(settings, connections=pool) as deployment,
                working(deployment, teller=teller) as driving,
            ):
                await asked_to_stop(driving)

    carried_out(worked())


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database to this version of newel."""
    from newel.cli.deployment import applied_migrations, carried_out

    applied = carried_out(applied_migrations(_settings(None, None)))
    if as_json:
        return say_json({"applied": applied})
    if not applied:
        return say("Nothing to do: the database is at this version.")
    return say("Applied " + ", ".join(applied) + ".")


def dev(*, host: Host = None, port: Port = None) -> None:
    """Run all of it here for building processes: database, stand-ins, worker and console."""
    from newel.cli.deployment import carried_out, opened
    from newel.cli.stand_ins import stand_ins

    settings = _settings(host, port)

    async def developed() -> None:
        # The stand-ins first: the project's systems read their addresses when it is imported.
        async with (
            stand_ins(settings) as pages,
            opened(settings) as deployment,
        ):
            await _developed(deployment, pages)

    carried_out(developed())


async def _developed(deployment: Deployment, pages: dict[str, str]) -> None:
    from newel.cli.deployment import engine_of
    from newel.cli.programs import asked_to_stop, web_server, working
    from newel.cli.watching import changes_told

    engine = await engine_of(deployment)
    async with (
        web_server(engine, deployment.settings) as address,
        working(deployment, engine=engine) as driving,
        changes_told(deployment.settings.project),
    ):
        say(f"newel is at {address}")
        for name, page in pages.items():
            say(f"  {name} is a stand-in, to be watched at {page}")
        if not deployment.settings.processes:
            say("  This directory has no processes yet: `newel init DIR` writes a first project.")
        say("Ctrl-C ends it. What runs goes on at the next start.")
        await asked_to_stop(driving)


def _settings(host: str | None, port: int | None) -> Settings:
    from newel.base.settings import load_settings

    given = {"host": host, "port": port}
    return load_settings(
        None, **{name: value for name, value in given.items() if value is not None}
    )
