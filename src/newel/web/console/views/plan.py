"""The plan of one run, and its drawing in words: what is done, open, still to come, and why.

Both are made of one plan, so that the picture, the list beside it and the JSON agree.
Source: drawing document, §8, §9, §13.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from newel.base.errors import NotFound
from newel.base.ids import reference
from newel.drawing.boxes import second_line
from newel.drawing.drawing import Drawing, drawing_of
from newel.drawing.folding import folded
from newel.drawing.layout import picture_of
from newel.drawing.mermaid import flowchart
from newel.drawing.overlay import WORDS, Shown, shown
from newel.drawing.plan import Plan, Planned
from newel.drawing.progress import progress_of
from newel.drawing.regions import Act, acts_of
from newel.drawing.svg import by_opening, svg
from newel.drawing.text import Line, lines, outline
from newel.store import runs
from newel.web.console.views.model import Chip, View, chip
from newel.web.site import Reader

__all__ = ["ANCHOR", "Drawn", "OutlineView", "PlanView", "drawn_run"]

ANCHOR: Final = "at:"
"""In front of the id of an act, in addresses: no name of an act can be that of a part of a page."""

_KEY: Final = re.compile(r" `[^`]*`$")


class ItemView(View):
    """One act of the plan: state of what has begun, forecast of what has not, never both."""

    node: str
    key: str | None
    label: str
    state: str
    forecast: str | None
    reason: str
    due: datetime | None
    chip: Chip


class PlanView(View):
    """How far a run is, and every act in the order of the source.

    done, total: steps; perhaps: others that only may come. counts: lines by state and forecast.
    elsewhere: keys that this code does not come to, done under an earlier version. critical_path:
    the longest row of steps that have to wait for each other.
    """

    run: str
    sentence: str
    done: int
    total: int
    perhaps: int
    counts: dict[str, int]
    lines: tuple[ItemView, ...]
    elsewhere: tuple[str, ...]
    critical_path: tuple[str, ...]


class OutlineView(View):
    """One line of the drawing in words. anchor: where the picture leads to.

    is_act: whether it is something that is done; else it says how the way goes. about: who does
    it, where, or when.
    """

    anchor: str
    depth: int
    text: str
    about: str
    is_act: bool
    chip: Chip | None
    counter: str
    reason: str
    due: datetime | None
    items: tuple[ItemView, ...]


class Drawn:
    """A run on the drawing of its process."""

    def __init__(self, run: UUID, drawing: Drawing, plan: Plan) -> None:
        """Take the parts; nothing is made before it is asked for."""
        self.drawing = drawing
        self.plan = plan
        self._run = reference("run", run)
        self._shown = shown(drawing.tree, plan)
        self._acts = {each.id: each for each in acts_of(drawing.tree) if isinstance(each, Act)}

    def picture(
        self,
        title: str,
        *,
        is_alone: bool,
        href: Callable[[str], str],
        chosen: str = "",
        opened: Sequence[str] | None = None,
        unfold: Callable[[str], str] = by_opening,
        has_all_paths: bool = False,
        zoom: int = 0,
    ) -> str:
        """The picture as SVG; title: its accessible name; href: what a card leads to, by its id.

        opened: blocks that a person has opened, of a picture that is folded where it is large.
        unfold: what a folded block leads to. zoom: percent of its own size.
        """
        hidden: frozenset[str] = frozenset()
        if opened is not None:
            hidden = folded(self.drawing.tree, self._shown, kept={chosen, *opened})
        picture = picture_of(self.drawing, self._shown, folded=hidden, has_all_paths=has_all_paths)
        return svg(
            picture,
            title,
            is_alone=is_alone,
            href=href,
            unfold=unfold,
            chosen=chosen,
            zoom=zoom,
        )

    def node_of(self, key: str) -> str:
        """The part of the drawing that a key belongs to; empty for one that it does not have."""
        pattern = self.drawing.patterns.of(key)
        return "" if pattern is None else str(pattern)

    def act(self, node: str) -> Act | None:
        """The act with this id; None for what is undone, and for what there is not."""
        return self._acts.get(node)

    def shown(self, node: str) -> tuple[Chip, Shown] | None:
        """What is shown of a part; None for one that there is not."""
        how = self._shown.get(node)
        return None if how is None else (_chip(how.word), how)

    def flowchart(self) -> str:
        """The graph for Mermaid."""
        return flowchart(self.drawing.graph, {id_: each.word for id_, each in self._shown.items()})

    def text(self) -> str:
        """The list as plain text."""
        said = {id_: each.said for id_, each in self._shown.items()}
        return f"{self.drawing.process.title}\n\n{outline(self.drawing.tree, said)}"

    def view(self) -> PlanView:
        """The plan as data."""
        progress = progress_of(self.plan)
        return PlanView(
            run=self._run,
            sentence=progress.sentence,
            done=progress.done,
            total=progress.total,
            perhaps=progress.perhaps,
            counts=self.plan.counts(),
            lines=tuple(_item(each) for each in self.plan.lines),
            elsewhere=self.plan.elsewhere,
            critical_path=tuple(each.key or each.node for each in self.plan.critical),
        )

    def longest(self) -> str:
        """The critical path in words, by what people read on the cards."""
        row = self.plan.critical
        return " → ".join(each.label for each in row) if len(row) > 1 else ""

    def outline(self) -> tuple[OutlineView, ...]:
        """The drawing in words, with the state of each act."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[OutlineView]:
        for number, line in enumerate(lines(self.drawing.tree)):
            planned = self.plan.of(line.id) if line.id else []
            how = self._shown.get(line.id) if planned else None
            act = self._acts.get(line.id)
            items = tuple(_item(each) for each in planned) if len(planned) > 1 else ()
            yield OutlineView(
                anchor=f"{ANCHOR}{line.id or number}",
                depth=line.depth,
                text=_text(line) if act is None else act.label,
                about="" if act is None else second_line(act),
                is_act=bool(planned),
                chip=None if how is None else _chip(how.word),
                counter="" if how is None else how.counter,
                reason="" if how is None or items else how.reason,
                due=planned[0].due if len(planned) == 1 else None,
                items=items,
            )


async def drawn_run(read: Reader, run: UUID) -> Drawn:
    """Read a run's journal and plan what is left. Raises NotFound for one this code cannot draw."""
    row = await runs.read(read.database, run)
    if row is None:
        raise NotFound(kind="run", reference=reference("run", run))
    process = read.processes.get(row["process"])
    if process is None:
        raise NotFound(kind="process of the current code for", reference=reference("run", run))
    return Drawn(run, drawing_of(process), await read.plan_of(run))


def _text(line: Line) -> str:
    """A line without the mark of a list and without its key."""
    return _KEY.sub("", line.text.removeprefix("- ")).replace("`", "")


def _item(line: Planned) -> ItemView:
    return ItemView(
        node=line.node,
        key=line.key,
        label=line.label,
        state=line.state,
        forecast=line.forecast,
        reason=line.reason,
        due=line.due,
        chip=_chip(line.state or line.forecast or "maybe"),
    )


def _chip(word: str) -> Chip:
    """The chip of a state or forecast, in the words of the picture."""
    return chip(word).model_copy(update={"word": WORDS[word]})
