"""`newel doc`: the dossier of each process as files that are committed beside the code.

Whether they are up to date is a comparison of bytes, so a pipeline can refuse what is stale.
Source: drawing document, §14.3 and §14.6.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from newel.base.errors import NotFound, Refused
from newel.cli.output import say

if TYPE_CHECKING:
    from newel.drawing.drawing import Drawing
    from newel.flow.process import Process

__all__ = ["doc", "stale", "summed_up"]

UP_TO_DATE: Final = 0
STALE: Final = 1
SYSTEMS: Final = "systems.md"
_PLACE: Final = Path("docs", "processes")
_MARK: Final = "dossier.json"
_LONGEST_DIFFERENCE: Final = 6

_Names = Annotated[str, Parameter(help="Names of processes; all of the project without one.")]
_Output = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], help="Folder; docs/processes of the project without it."),
]
_Check = Annotated[
    bool, Parameter(negative=(), help="Write nothing; fail where a file is not what it would be.")
]


def doc(*names: _Names, output: _Output = None, check: _Check = False) -> int:
    """Write the dossiers: drawing, steps, permissions, owners, what fails and how to fix it.

    Everything comes from the code and from declarations; no system and no database is asked.
    Without names the page of all systems is written, too. With `--check` the status is 1 where a
    file is missing or stale.
    """
    from newel.base.settings import load_settings
    from newel.cli.project import load_project

    settings = load_settings()
    processes = load_project(settings).processes
    chosen = _chosen(processes, names)
    folder = settings.project / _PLACE if output is None else output
    files = _files(chosen, with_systems=not names)
    if check:
        found = list(_stale(folder, files, None if names else processes))
        summed_up(found)
        return STALE if found else UP_TO_DATE
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    say(f"{len(files)} files are written into {folder}.")
    return UP_TO_DATE


def stale(processes: Sequence[Process[..., Any]], project: Path) -> list[str]:
    """Say what is stale in the project's folder of dossiers; processes: all of the project's."""
    return list(_stale(project / _PLACE, _files(processes, with_systems=True), processes))


def summed_up(found: Sequence[str]) -> None:
    """Tell people what is stale, and what makes it right."""
    for each in found:
        say(each)
    say("`newel doc` writes them anew." if found else "The dossiers are up to date.")


def _chosen(
    processes: Sequence[Process[..., Any]],  # Any: each has its own result; below, too
    names: Sequence[str],
) -> list[Process[..., Any]]:
    known = {each.name: each for each in processes}
    for name in names:
        if name not in known:
            raise NotFound(kind="process", reference=name)
    return [each for each in processes if not names or each.name in names]


def _files(processes: Sequence[Process[..., Any]], *, with_systems: bool) -> dict[str, str]:
    """Every file of the dossiers with its text, by path; Refused where one cannot be drawn."""
    from newel.drawing.dossier import dossier_of, systems_of
    from newel.drawing.dossier_page import systems_page
    from newel.drawing.drawing import drawing_of

    drawings = [drawing_of(each) for each in processes]
    errors = [error for drawing in drawings for error in drawing.errors]
    if errors:
        raise Refused(errors)
    files: dict[str, str] = {}
    for drawing in drawings:
        files |= _of_process(drawing)
    if with_systems:
        files[SYSTEMS] = systems_page(systems_of(map(dossier_of, drawings)))
    return files


def _of_process(drawing: Drawing) -> dict[str, str]:
    import orjson

    from newel.drawing.bpmn import bpmn
    from newel.drawing.dossier import dossier_of
    from newel.drawing.dossier_page import process_page
    from newel.drawing.layout import picture_of
    from newel.drawing.mermaid import flowchart
    from newel.drawing.svg import svg

    name, dossier = drawing.process.name, dossier_of(drawing)
    facts = orjson.dumps(dossier.document(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    return {
        f"{name}/index.md": process_page(dossier, drawing, f"../{SYSTEMS}"),
        f"{name}/drawing.svg": svg(picture_of(drawing, {}), drawing.process.title),
        f"{name}/drawing.bpmn": bpmn(drawing),
        f"{name}/drawing.mmd": flowchart(drawing.graph, {}),
        f"{name}/{_MARK}": facts.decode() + "\n",
    }


def _stale(
    folder: Path, files: Mapping[str, str], processes: Sequence[Process[..., Any]] | None
) -> Iterator[str]:
    """Say which files are not what they should be; processes: all there are, if that is known."""
    for path, text in files.items():
        file = folder / path
        if not file.is_file():
            yield f"{path}: is missing"
        elif (found := file.read_bytes()) != text.encode():
            yield "\n  ".join([f"{path}: is stale", *_changed(path, found, text)])
    if processes is not None:
        known = {each.name for each in processes}
        for mark in sorted(folder.glob(f"*/{_MARK}")):
            if mark.parent.name not in known:
                yield f"{mark.parent.name}: is no process any more; delete the folder"


def _changed(path: str, found: bytes, text: str) -> Iterator[str]:
    """The first lines that differ; those of a picture tell nobody anything."""
    if not path.endswith(".md"):
        return
    written = found.decode("utf-8", "replace").splitlines()
    compared = difflib.unified_diff(written, text.splitlines(), n=0, lineterm="")
    rows = (row for row in itertools.islice(compared, 2, None) if not row.startswith("@@"))
    yield from itertools.islice(rows, _LONGEST_DIFFERENCE)
