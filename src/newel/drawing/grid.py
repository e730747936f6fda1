"""Where the parts of a BPMN diagram stand: left to right, each in a column and a row.

Every container is laid out by itself, from the inside out. The column of a node is the longest way
to it. The longest way through a container is its first row; whatever leaves that way takes a row
below, in which it has its columns to itself. So lines run in rows that are free or between columns,
above everything when they lead back, and never through a node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Final

from newel.drawing.graph import Edge, Graph, Node
from newel.drawing.picture import Point

__all__ = ["Arrangement", "Bounds", "arranged"]

TASK: Final = (100.0, 80.0)
EVENT: Final = (36.0, 36.0)
GATEWAY: Final = (50.0, 50.0)
NOTE: Final = 50.0
"""The room above a node that has a note."""
_APART: Final = 60.0
_BETWEEN: Final = 40.0
_PADDING: Final = 40.0
_TURN: Final = 18.0
_LANE: Final = 10.0
_STEP: Final = 46.0
"""From one boundary event to the next on the border of a node."""
_BELOW: Final = 34.0
"""The room below a node with boundary events, where their lines turn."""
_CAPTION: Final = 28.0
"""The room below events and gateways, whose names stand outside."""
_SIZES: Final = {
    "start": EVENT,
    "end": EVENT,
    "error_end": EVENT,
    "stop_end": EVENT,
    "xor_split": GATEWAY,
    "xor_merge": GATEWAY,
    "and_split": GATEWAY,
    "and_join": GATEWAY,
    "n_join": GATEWAY,
    "event_split": GATEWAY,
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, x: float, y: float) -> Bounds:
        """The same elsewhere."""
        return Bounds(self.x + x, self.y + y, self.width, self.height)


@dataclass(slots=True)
class Arrangement:
    """The bounds of nodes by id, and the lines of edges in their order."""

    shapes: dict[str, Bounds] = field(default_factory=dict)
    lines: dict[int, list[Point]] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0

    def take(self, inner: Arrangement, x: float, y: float) -> None:
        """Add another one, moved."""
        for id_, shape in inner.shapes.items():
            self.shapes[id_] = shape.moved(x, y)
        for index, line in inner.lines.items():
            self.lines[index] = [(each_x + x, each_y + y) for each_x, each_y in line]


def arranged(graph: Graph, events: Iterable[str], noted: Iterable[str]) -> Arrangement:
    """Arrange a graph. events: acts that are drawn as events; noted: nodes with a note above."""
    return _Level(graph, frozenset(events), frozenset(noted), "").arranged()


@dataclass(slots=True)
class _Chain:
    """Nodes one after another in one row. behind: the node that it leaves, "" for a start."""

    nodes: list[str]
    behind: str = ""


class _Level:
    """The inside of one container."""

    def __init__(
        self, graph: Graph, events: frozenset[str], noted: frozenset[str], container: str
    ) -> None:
        self.graph, self.events, self.noted = graph, events, noted
        self.inner: dict[str, Arrangement] = {}
        self.nodes: dict[str, Node] = {}
        for node in graph.nodes.values():
            if node.kind not in {"frame", "boundary"} and graph.container_of(node.id) == container:
                self.nodes[node.id] = node
                if node.kind == "container":
                    self.inner[node.id] = _Level(graph, events, noted, node.id).arranged()
        self.aside = [
            id_ for id_ in self.inner if not graph.into(id_) and not graph.out_of(id_)
        ]  # fmt: skip
        for id_ in self.aside:  # no line leads there
            del self.nodes[id_]
        self.edges: list[tuple[int, str, Edge]] = []
        for index, edge in enumerate(graph.edges):
            source = graph.nodes[edge.src].host or edge.src
            if source in self.nodes:
                self.edges.append((index, source, edge))
        self.forward: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
        for _, source, edge in self.edges:
            if edge.kind != "back":
                self.forward[source].append((edge.dst, edge))
        self.ranks, self.heights = self._measured()
        self.rows: dict[str, int] = {}
        self.taken: list[list[tuple[int, int]]] = []
        self.lasts: set[str] = set()
        self.firsts: dict[str, str] = {}
        self.detours: dict[int, int] = {}

    def _measured(self) -> tuple[dict[str, int], dict[str, int]]:
        """The longest way to each node, and from it."""
        before: dict[str, list[str]] = {id_: [] for id_ in self.nodes}
        for source, targets in self.forward.items():
            for target, _ in targets:
                before[target].append(source)
        order = list(TopologicalSorter(before).static_order())
        ranks = dict.fromkeys(order, 0)
        for id_ in order:
            ranks[id_] = max((ranks[each] + 1 for each in before[id_]), default=0)
        heights = dict.fromkeys(order, 0)
        for id_ in reversed(order):
            heights[id_] = max((heights[to] + 1 for to, _ in self.forward[id_]), default=0)
        return ranks, heights

    # --- rows -----------------------------------------------------------------------------------

    def arranged(self) -> Arrangement:
        """Rows, then places, then lines."""
        targets = {to for each in self.forward.values() for to, _ in each}
        for root in self.nodes:
            if root not in targets:
                self._rows_from(root)
        self._detoured()
        return self._placed()

    def _rows_from(self, root: str) -> None:
        todo = [(root, "")]
        while todo:
            start, behind = todo.pop()
            if start in self.rows:
                continue
            chain = self._chain(start, behind)
            self._give_row(chain)
            for node in chain.nodes:  # the last is taken first: its branches stay near
                for to, _ in reversed(self.forward[node]):
                    if to not in self.rows:
                        todo.append((to, node))

    def _chain(self, start: str, behind: str) -> _Chain:
        """The longest way from a node over nodes that have no row yet."""
        found = [start]
        while True:
            ahead = [
                to for to, edge in self.forward[found[-1]]
                if to not in self.rows and not self.graph.nodes[edge.src].host
            ]  # fmt: skip
            if not ahead:
                return _Chain(found, behind)
            found.append(max(ahead, key=lambda each: self.heights[each]))

    def _give_row(self, chain: _Chain) -> None:
        first, last = chain.nodes[0], chain.nodes[-1]
        low = self.ranks[chain.behind] + 1 if chain.behind else self.ranks[first]
        ends = [
            self.ranks[to] - 1 for to, edge in self.forward[last]
            if to in self.rows and not self.graph.nodes[edge.src].host
        ]  # fmt: skip
        above = self.rows[chain.behind] + 1 if chain.behind else 0
        row = self._free(above, low, max([self.ranks[last], *ends]))
        self.rows |= dict.fromkeys(chain.nodes, row)
        self.lasts.add(last)
        self.firsts[first] = chain.behind

    def _free(self, row: int, low: int, high: int) -> int:
        """The first row from one on in which some columns are free; takes them."""
        while True:
            while len(self.taken) <= row:
                self.taken.append([])
            if all(high < each_low or each_high < low for each_low, each_high in self.taken[row]):
                self.taken[row].append((low, high))
                return row
            row += 1

    def _detoured(self) -> None:
        """Give a row of its own to each line that would cross what stands between its ends."""
        for index, source, edge in self.edges:
            low, high = self.ranks[source] + 1, self.ranks[edge.dst] - 1
            is_own = self._leads_on(source, edge) or self._begins(source, edge)
            if edge.kind != "back" and low <= high and not is_own:
                row = min(self.rows[source], self.rows[edge.dst]) + 1
                self.detours[index] = self._free(row, low, high)

    def _leads_on(self, source: str, edge: Edge) -> bool:
        """Whether the row of the source is free up to the target."""
        if self.graph.nodes[edge.src].host:
            return False
        if self.rows[source] == self.rows[edge.dst] and source not in self.lasts:
            return self._is_next(source, edge.dst)
        return source in self.lasts

    def _is_next(self, source: str, target: str) -> bool:
        """Whether nothing stands between two nodes of one row."""
        row, low, high = self.rows[source], self.ranks[source], self.ranks[target]
        return not any(
            self.rows[each] == row and low < self.ranks[each] < high for each in self.nodes
        )

    def _begins(self, source: str, edge: Edge) -> bool:
        """Whether the row of the target is free from the source on."""
        return self.firsts.get(edge.dst) == source

    # --- places ---------------------------------------------------------------------------------

    def _size(self, id_: str) -> tuple[float, float]:
        if id_ in self.inner:
            wide, high = self.inner[id_].width, self.inner[id_].height
        else:
            wide, high = EVENT if id_ in self.events else _SIZES.get(self.nodes[id_].kind, TASK)
        return max(wide, _STEP * len(self.graph.boundaries(id_)) + 8), high

    def _reach(self, id_: str) -> tuple[float, float]:
        """How far a node reaches above and below the axis of its row."""
        half = self._size(id_)[1] / 2
        above = half + (NOTE if id_ in self.noted else 0)
        if self.graph.boundaries(id_):
            return above, half + _BELOW + 6
        is_task = half * 2 >= TASK[1]
        return above, half + (0 if is_task else _CAPTION)

    def _placed(self) -> Arrangement:
        found = Arrangement()
        wide: dict[int, float] = defaultdict(float)
        reach = [(12.0, 12.0) for _ in self.taken]
        for id_ in self.nodes:
            rank, row = self.ranks[id_], self.rows[id_]
            wide[rank] = max(wide[rank], self._size(id_)[0])
            reach[row] = tuple(map(max, reach[row], self._reach(id_)))  # type: ignore[assignment]
        backs = sum(edge.kind == "back" for _, _, edge in self.edges)
        lefts: list[float] = []
        x, y = _PADDING, _PADDING + (backs + 1) * _LANE
        for rank in range(len(wide)):
            lefts.append(x)
            x += wide[rank] + _APART
        axes: list[float] = []
        for above, below in reach:
            axes.append(y + above)
            y += above + below + _BETWEEN
        for id_ in self.nodes:
            self._set(found, id_, lefts[self.ranks[id_]], wide[self.ranks[id_]], axes)
        x -= _APART
        for id_ in self.aside:
            inner = self.inner[id_]
            found.shapes[id_] = Bounds(_PADDING, y, inner.width, inner.height)
            found.take(inner, _PADDING, y)
            x, y = max(x, _PADDING + inner.width), y + inner.height + _BETWEEN
        found.width, found.height = x + _PADDING, y - _BETWEEN + _PADDING
        rights = [left + wide[rank] for rank, left in enumerate(lefts)]
        self._lines(found, lefts, rights, axes)
        return found

    def _set(
        self, found: Arrangement, id_: str, left: float, wide: float, axes: list[float]
    ) -> None:
        own, high = self._size(id_)
        x, y = left + (wide - own) / 2, axes[self.rows[id_]] - high / 2
        found.shapes[id_] = Bounds(x, y, own, high)
        if id_ in self.inner:
            found.take(self.inner[id_], x, y)
        for number, boundary in enumerate(self.graph.boundaries(id_)):
            at = x + own - 8 - EVENT[0] - number * _STEP
            found.shapes[boundary.id] = Bounds(at, y + high - EVENT[1] / 2, *EVENT)

    # --- lines ----------------------------------------------------------------------------------

    def _lines(
        self, found: Arrangement, lefts: list[float], rights: list[float], axes: list[float]
    ) -> None:
        lane = _PADDING
        for index, source, edge in self.edges:
            line = self._leaving(found, source, edge)
            at, to = line[-1], found.shapes[edge.dst]
            end = (to.x, to.y + to.height / 2)
            after = rights[self.ranks[source]] + _TURN
            before = lefts[self.ranks[edge.dst]] - _TURN
            if edge.kind == "back":
                line += [(after, at[1]), (after, lane), (before, lane), (before, end[1])]
                lane += _LANE
            elif index in self.detours:
                row = axes[self.detours[index]]
                line += [(after, at[1]), (after, row), (before, row), (before, end[1])]
            elif self._leads_on(source, edge) and not self._begins(source, edge):
                line += [(before, at[1]), (before, end[1])]
            else:
                line += [(after, at[1]), (after, end[1])]
            found.lines[index] = _straight([*line, end])

    def _leaving(self, found: Arrangement, source: str, edge: Edge) -> list[Point]:
        """How a line begins: at the right of a node, or below a boundary event."""
        shape = found.shapes[edge.src]
        if edge.src == source:
            return [(shape.x + shape.width, shape.y + shape.height / 2)]
        x, low = shape.x + shape.width / 2, shape.y + shape.height
        return [(x, low), (x, low + _BELOW - EVENT[1] / 2)]


def _straight(line: list[Point]) -> list[Point]:
    """A line without the points that change nothing."""
    found = [line[0]]
    for at, after in zip(line[1:], [*line[2:], None], strict=True):
        x, y = found[-1]
        is_between = after is not None and ((x == at[0] == after[0]) or (y == at[1] == after[1]))
        if at != found[-1] and not is_between:
            found.append(at)
    return found
