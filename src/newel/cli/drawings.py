"""`newel draw` and `newel plan`: a process as it is drawn, and what a run of it comes to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from newel.base.errors import NotFound, Refused
from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson
from newel.cli.verbs import document_in

if TYPE_CHECKING:
    from newel.drawing.drawing import Drawing
    from newel.drawing.plan import Plan
    from newel.flow.process import Process

__all__ = ["draw", "plan", "plan_document", "say_plan"]

Format: TypeAlias = Literal["text", "svg", "mermaid", "bpmn", "json"]
_Process = Annotated[str, Parameter(help="Name of a process of the project.")]
_Format = Annotated[
    Format,
    Parameter(
        name="--format",
        help="A list, a picture, a Mermaid flowchart, BPMN 2.0, or the stored form.",
    ),
]
_Run = Annotated[str | None, Parameter(name="--run", help="Show the state of this run: run_….")]
_Output = Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write into this file.")]
_Input = Annotated[
    str | None, Parameter(name="--input", help="Input of a run that would start now, as JSON.")
]


def draw(
    process: _Process, /, *, format_: _Format = "text", run: _Run = None, output: _Output = None
) -> None:
    """Draw a process, with the state of a run where one is named; asks no database without it."""
    drawing = _drawing(process)
    known = None if run is None else _of_run(run)
    text = _written(drawing, format_, known)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8")
        say(f"{output} is written.")


def plan(
    name: Annotated[str, Parameter(help="A process, with --input; or a run: run_….")],
    /,
    *,
    input_: _Input = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run has done, what it waits for and what is still to come, with the reasons.

    For a process it is what a run with this input would do; nothing is started, and no database is
    asked.
    """
    found = _of_run(name) if name.startswith("run_") else _preview(name, input_)
    if as_json:
        say_json(plan_document(found))
    else:
        say_plan(found)


def say_plan(found: Plan) -> None:
    """Print a plan: how far it is, and a line for each act."""
    from newel.drawing.critical import said
    from newel.drawing.progress import progress_of

    say(progress_of(found).sentence)
    if longest := said(found.critical):
        say(longest)
    rows = [(each.key or each.node, each.state or each.forecast or "", each.reason) for each in
            found.lines]  # fmt: skip
    say(columns(("ACT", "STATE", "WHY"), rows))
    for key in found.elsewhere:
        say(f"{key}: done under an earlier version")


def _process_of(name: str) -> Process[..., Any]:  # Any: each has its own result
    from newel.base.settings import load_settings
    from newel.cli.project import load_project

    for each in load_project(load_settings()).processes:
        if each.name == name:
            return each
    raise NotFound(kind="process", reference=name)


def _drawing(name: str) -> Drawing:
    from newel.drawing.drawing import drawing_of

    drawing = drawing_of(_process_of(name))
    if drawing.errors:
        raise Refused(drawing.errors)
    return drawing


def _preview(name: str, document: str | None) -> Plan:
    from newel.drawing.plan import FRESH, Past, planned

    drawing = _drawing(name)
    if document is None:
        return planned(drawing, FRESH)
    return planned(drawing, Past(arguments=drawing.process.parsed(document_in(document))))


def _of_run(run: str) -> Plan:
    from newel.base.ids import parse_reference
    from newel.cli.deployment import carried_out, found_engine

    async def asked() -> Plan:
        async with found_engine(new=False) as engine:
            return await engine.plan(parse_reference(run)[1])

    return carried_out(asked())


def _written(drawing: Drawing, format_: Format, known: Plan | None) -> str:
    from newel.drawing.mermaid import flowchart
    from newel.drawing.overlay import shown
    from newel.drawing.text import outline

    states = {} if known is None else shown(drawing.tree, known)
    words = {id_: each.word for id_, each in states.items()}
    match format_:
        case "text":
            said = {id_: each.said for id_, each in states.items()}
            return f"{drawing.process.title}\n\n{outline(drawing.tree, said)}"
        case "svg":
            from newel.drawing.layout import picture_of
            from newel.drawing.svg import svg

            return svg(picture_of(drawing, states), drawing.process.title)
        case "mermaid":
            return flowchart(drawing.graph, words)
        case "bpmn":
            from newel.drawing.bpmn import bpmn

            return bpmn(drawing, words)
        case _:
            import orjson

            document = drawing.document()
            if known is not None:
                document["plan"] = plan_document(known)
            return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode() + "\n"


def plan_document(found: Plan) -> dict[str, object]:
    """A plan for programs."""
    from dataclasses import asdict

    from newel.drawing.progress import progress_of

    return {
        **asdict(progress_of(found)),
        "lines": [asdict(each) for each in found.lines],
        "elsewhere": found.elsewhere,
        "critical_path": [each.key or each.node for each in found.critical],
    }
