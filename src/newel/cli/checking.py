"""`newel check`: what is wrong with the processes as they are written; asks no database.

It says what a worker would refuse to start with, all of it at once, and what it would only warn
of. The status tells a pipeline whether to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Parameter

from newel.audit.leaf import Actor
from newel.base.errors import NotFound, Refused
from newel.base.findings import Finding
from newel.cli.output import say, say_json

if TYPE_CHECKING:
    from newel.engine.trial import Verdict
    from newel.flow.process import Process

__all__ = ["check", "verdict_lines"]

SOUND: Final = 0
BROKEN: Final = 1
RUNS_NOW: Final = 3
BLOCKED: Final = 4
_HERE: Final = Actor(type="service", id="svc_cli", via="cli")
HERE: Final = "here"

Format: TypeAlias = Literal["text", "json", "github"]
_Names = Annotated[str, Parameter(help="Names of processes; all of the project without one.")]
_Strict = Annotated[
    bool, Parameter(negative=(), help="Count warnings as errors, as a pipeline should.")
]
_Format = Annotated[
    Format, Parameter(name="--format", help="For people, for programs, or as notes of GitHub.")
]

_Against = Annotated[
    str | None,
    Parameter(
        help="Also judge open runs: the address of a database, `here`, or a file of journals."
    ),
]
_Docs = Annotated[
    bool, Parameter(negative=(), help="Also compare docs/processes with what the code gives.")
]
_Accepts = Annotated[bool, Parameter(negative=(), help="Acts that begin at once are wanted.")]


def check(
    *names: _Names,
    strict: _Strict = False,
    format_: _Format = "text",
    docs: _Docs = False,
    against: _Against = None,
    accept_runs_now: _Accepts = False,
) -> int:
    """Read the source of the processes, and say what is wrong with them.

    The status is 0 where nothing keeps them from being registered, else 1; with `--strict` also
    where something is warned of, with `--docs` where a dossier is stale. With `--against` every
    open run is replayed on this code, which changes nothing and calls nobody: 3 where acts would
    begin at once, 4 where runs would stop, or cannot be judged.
    """
    try:
        known = _processes()
    except Refused as refused:  # a module does not even come to its end
        processes, found = [], list(refused.findings)
    else:
        processes = _chosen(known, names)
        found = _findings(processes, known)
    counts = found if strict else [each for each in found if each.level == "error"]
    stale = _stale() if docs and not counts else None
    _TOLD[format_](found, [each.name for each in processes], stale)
    if counts or stale:
        return BROKEN
    if against is None:
        return SOUND
    return _judged(processes, against, accepts=accept_runs_now, as_json=format_ == "json")


def _stale() -> list[str]:
    """Say which dossiers are not what the code gives; all of the project's are compared."""
    from newel.base.settings import load_settings
    from newel.cli.dossiers import stale
    from newel.cli.project import load_project

    settings = load_settings()
    return stale(load_project(settings).processes, settings.project)


def _judged(
    processes: list[Process[..., Any]],  # Any: as below
    against: str,
    *,
    accepts: bool,
    as_json: bool,
) -> int:
    """Say what this code does to the runs that are under way."""
    from newel.cli.deployment import carried_out
    from newel.testing.journals import judged_from

    file = Path(against)
    is_file = against != HERE and file.exists()
    found = judged_from(file, processes) if is_file else carried_out(_verdicts(processes, against))
    if as_json:
        say_json({"runs": [asdict(each) for each in found]})
    else:
        for line in verdict_lines(found):
            say(line)
    words = {each.word for each in found}
    if "blocked" in words:
        return BLOCKED
    return RUNS_NOW if "runs now" in words and not accepts else SOUND


def verdict_lines(found: list[Verdict]) -> Iterator[str]:
    """What new code does to runs, in words: counts, then each run that is not left unchanged."""
    counted = Counter((each.process, each.word) for each in found)
    for (process, word), number in sorted(counted.items()):
        yield f"{process}: {number} {'run' if number == 1 else 'runs'} {word}"
    for each in found:
        if each.word != "unchanged":
            why = each.why or f"begins {', '.join(each.effects)}"
            about = "" if each.person is None else f" of {each.person}"
            yield f"{each.process} {each.run}{about} {each.word}: {why}"
    if not found:
        yield "No run is under way."


async def _verdicts(
    processes: list[Process[..., Any]], against: str
) -> list[Verdict]:  # Any: as below
    from newel.base.settings import load_settings
    from newel.cli.deployment import opened, vault_of
    from newel.engine.trial import noted, verdicts

    given = {} if against == HERE else {"database_url": against}
    settings = load_settings(None, **given)
    async with opened(settings, new=False) as deployment:
        vault = vault_of(settings)
        found = [each async for each in verdicts(deployment.database, vault, processes)]
        await noted(deployment.database, vault, processes, found, actor=_HERE)
        return found


def _processes() -> dict[str, Process[..., Any]]:  # Any: each has its own result
    from newel.base.settings import load_settings
    from newel.cli.project import load_project

    return {each.name: each for each in load_project(load_settings()).processes}


def _chosen(
    known: dict[str, Process[..., Any]],  # Any: as above
    names: tuple[str, ...],
) -> list[Process[..., Any]]:  # Any: as above
    for name in names:
        if name not in known:
            raise NotFound(kind="process", reference=name)
    return [each for each in known.values() if not names or each.name in names]


def _findings(
    processes: list[Process[..., Any]],  # Any: as above
    known: dict[str, Process[..., Any]],  # Any: as above
) -> list[Finding]:
    from newel.drawing.drawing import findings_of, unregistered
    from newel.flow import reading, refusals

    found = {*refusals.registered(processes, reading.steps), *unregistered(processes, known)}
    found.update(findings_of(processes, among=known.values()))
    return sorted(found)


def _as_text(found: list[Finding], names: list[str], stale: list[str] | None) -> None:
    from newel.cli.dossiers import summed_up

    for each in found:
        say(str(each))
    errors = sum(each.level == "error" for each in found)
    counted = f"{errors} errors, {len(found) - errors} warnings." if found else "Nothing is wrong."
    say(f"{len(names)} processes read. {counted}")
    if stale is not None:
        summed_up(stale)


def _as_json(found: list[Finding], names: list[str], stale: list[str] | None) -> None:
    compared = {} if stale is None else {"stale": stale}
    say_json({"processes": names, "findings": [asdict(each) for each in found], **compared})


def _as_notes(found: list[Finding], names: list[str], stale: list[str] | None) -> None:
    """Write what GitHub shows beside the lines of a pull request."""
    del names
    for each in found:
        at = f"file={_file(each.module)},line={each.line},col={each.column}"
        say(f"::{each.level} {at},title={each.code}::{_note(f'{each.what} Fix: {each.fix}')}")
    for dossier in stale or ():
        say(f"::error title=dossier::{_note(dossier)}")


def _note(said: str) -> str:
    """Text as a note of GitHub takes it: on one line."""
    return said.replace("%", "%25").replace("\n", "%0A")


def _file(module: str) -> str:
    """Where a module's source lies, seen from here."""
    import importlib.util

    spec = importlib.util.find_spec(module)
    file = Path((spec.origin if spec is not None else None) or module)
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


_TOLD: Final = {"text": _as_text, "json": _as_json, "github": _as_notes}
