"""All commands in one application, and what becomes of what goes wrong in them.

A mistake of the person who typed is one sentence on standard error and a status that is not 0;
a traceback is kept for mistakes of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from newel.base.errors import NewelError
from newel.cli import (
    auditing,
    checking,
    connectors,
    contracts,
    course,
    demonstration,
    doctor,
    dossiers,
    drawings,
    evidence,
    exporting,
    holding,
    inventory,
    keys,
    persons,
    playing,
    reading,
    retention,
    roles,
    scaffold,
    schedules,
    serving,
    shadow,
    systems,
    verbs,
    webhooks,
    witness,
)
from newel.cli.interview import newing

__all__ = ["answered", "application"]

REFUSED: Final = 1
MISTYPED: Final = 2
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
_BENCH: Final = "Measure what the engine does per second on this machine."


def application() -> App:
    """Put all commands together."""
    app = App(
        name="newel",
        help="Internal operations you can prove. Commands find the project in this directory.",
        version=_version,
        version_flags=["--version"],
        help_flags=["--help", "-h"],
        help_format="plaintext",
        result_action="return_value",
    )
    app.command(demonstration.demo)
    app.command(scaffold.init)
    app.command(newing.new)
    for command in (serving.dev, serving.serve, serving.worker, serving.migrate):
        app.command(command)
    app.command(checking.check)
    app.command(drawings.draw)
    app.command(drawings.plan)
    app.command(dossiers.doc)
    app.command(reading.runs)
    app.command(reading.status)
    app.command(holding.access)
    app.command(holding.revocations)
    app.command(reading.tasks)
    app.command(shadow.shadow)
    for verb in (verbs.start, verbs.decide, verbs.fill, verbs.retry, verbs.skip, verbs.cancel):
        app.command(verb)
    for change in (course.pause, course.resume, course.reschedule, course.amend, course.fork):
        app.command(change)
    for more in (course.keep, course.acknowledge, course.bulk, course.send, course.events):
        app.command(more)
    app.command(verbs.complete_by_hand, name="complete-by-hand")
    app.command(schedules.schedules)
    app.command(systems.systems)
    app.command(webhooks.webhooks)
    app.command(doctor.doctor)
    app.command(contracts.contracts)
    app.command(inventory.inventory)
    app.command(retention.retention)
    app.command(keys.key)
    app.command(persons.person)
    app.command(exporting.export)
    app.command(auditing.audit)
    app.command(evidence.evidence)
    app.command(roles.db)
    app.command(witness.witness)
    app.command(connectors.connector)
    app.command(playing.simulators)
    app.command("newel.cli.bench:bench", name="bench", help=_BENCH)
    return app


def answered(arguments: Sequence[str]) -> int:
    """Carry out one command line; answers with the status of the process."""
    is_verdict = tuple(arguments[:2]) == auditing.VERIFY  # its other statuses mean something
    try:
        status = application()(
            list(arguments), exit_on_error=False, print_error=False, help_on_error=False
        )
    except CycloptsError as mistyped:
        return _told(
            f"{_sentence(mistyped)} `newel --help` lists the commands.",
            auditing.COULD_NOT_RUN if is_verdict else MISTYPED,
        )
    except _refusals() as refused:
        return _told(str(refused), auditing.COULD_NOT_RUN if is_verdict else REFUSED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone: there is nobody to tell
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _version() -> str:
    from newel.base.version import VERSION

    return VERSION


def _refusals() -> tuple[type[Exception], ...]:
    """Give what newel says itself: its errors, and the embedded server's if that was used."""
    if "newel.embedded" not in sys.modules:
        return (NewelError,)
    from newel.embedded.errors import EmbeddedServerError

    return (NewelError, EmbeddedServerError)


def _told(sentence: str, status: int) -> int:
    print(f"newel: {sentence}", file=sys.stderr)
    return status


def _sentence(mistyped: CycloptsError) -> str:
    said = " ".join(str(mistyped).split())
    return said if said.endswith((".", "?", "!")) else f"{said}."
