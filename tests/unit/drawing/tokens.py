"""A second judge of traces: tokens that move on the graph, as its rules say, and nothing else.

A trace is accepted if tokens can be moved so that each act begins where one has come to it, and at
the end of a completed run none is left. What is not recorded (which arm was taken, how many items
there were) is searched for; the way found tells it, so that another engine can be led the same way.

A token stands in a *home*: the containers around it, innermost last, each with the number of its
instance. What a decided race, a cancelled scope or a failure kills is *doomed*: it may still end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from newel.domain.patterns import Patterns
from newel.drawing.graph import Edge, Graph, Node
from newel.drawing.regions import Act, Guarded, Race, Scope, acts_of, walk
from tests.unit.drawing.happenings import Happened

Home = tuple[tuple[str, int], ...]
_AROUND = {"box", "won", "rest", "at"}


class Token(NamedTuple):
    """Where control stands.

    status: `at` a node, `on` (its act runs, under `key`), `out` of it, `failed`, `box` (it stands
    for what is inside), `won` (a race that is over, but not recorded yet), `rest` (of a race whose
    losers finish). tags: how control came into a `finally`. back: recursions to come back from.
    """

    node: str
    status: str = "at"
    key: str = ""
    home: Home = ()
    tags: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


class Choice(NamedTuple):
    """What the journal does not say: the way out of a gate or of what failed, or how many."""

    node: str
    way: int
    boundary: str = ""


class State(NamedTuple):
    """All tokens, sorted, and the keys of killed acts that have not ended."""

    tokens: tuple[Token, ...]
    doomed: frozenset[str] = frozenset()


class Tokens:
    """The rules of a graph."""

    def __init__(self, graph: Graph, patterns: Patterns) -> None:
        self.graph, self.nodes = graph, graph.nodes
        self._patterns = patterns
        self._around = {id_: set(self._above(id_)) for id_ in self.nodes}
        self._lead = self._leads()
        self._guarded = {
            node.id: {each.id for each in walk(node.region.body)}
            for node in self.nodes.values()
            if node.act == "finally" and isinstance(node.region, Guarded)
        }

    def path(
        self, trace: Sequence[Happened], *, state: str = "completed"
    ) -> tuple[Choice, ...] | None:
        """The choices with which a trace is a path of the graph; None if it is none.

        state: of the run at its end; one that is open may stand anywhere.
        """
        ways: dict[State, tuple[Choice, ...]] = {State((Token(":start"),)): ()}
        for happened in trace:
            found: dict[State, tuple[Choice, ...]] = {}
            for reached, choices in self._reachable(ways, self._target(happened)):
                for after in self._consumed(reached, happened):
                    found.setdefault(after, choices)
            if not found:
                return None
            ways = found
        if state not in {"completed", "failed", "cancelled"}:
            return next(iter(ways.values()))
        for reached, choices in self._reachable(ways, ""):
            if not reached.tokens and all(each[0] in "?!" for each in reached.doomed):
                return choices
        return None

    # --- what may be reached without anything happening ------------------------------------------

    def _reachable(
        self, ways: dict[State, tuple[Choice, ...]], target: str
    ) -> Iterator[tuple[State, tuple[Choice, ...]]]:
        towards = None if not target else self._lead.get(target, set())
        seen: set[tuple[State, frozenset[str]]] = set()
        todo = [(self._settled(state), way, frozenset[str]()) for state, way in ways.items()]
        while todo:
            state, choices, spawned = todo.pop()
            if (state, spawned) in seen:
                continue
            seen.add((state, spawned))
            yield state, choices
            for token in dict.fromkeys(state.tokens):
                if towards is not None and not self._helps(token, towards):
                    continue
                for after, choice, spawn in self._moves(state, token, spawned):
                    made = choices if choice is None else (*choices, choice)
                    more = spawned if not spawn else spawned | {spawn}
                    todo.append((self._settled(after), made, more))

    def _helps(self, token: Token, towards: set[str]) -> bool:
        return token.node in towards or any(each in towards for each, _ in token.home)

    def _moves(
        self, state: State, token: Token, spawned: frozenset[str]
    ) -> Iterator[tuple[State, Choice | None, str]]:
        node = self.nodes[token.node]
        match token.status, node.kind:
            case "at", "xor_split":
                for way, edge in self._ways(token, node):
                    after = _swapped(state, token, self._along(token, edge))
                    yield after, Choice(node.id, way), ""
            case "at", "container" if node.multi in {"seq", "par"}:
                kids = [each for each in state.tokens if _is_in(each, token, node.id)]
                used = {each.home[len(token.home)][1] for each in kids}
                free = next(number for number in range(len(used) + 1) if number not in used)
                inner = (*token.home, (node.id, free))
                if node.id not in spawned and (node.multi == "par" or not kids):
                    start = Token(f"{node.id}:start", home=inner, tags=token.tags, back=token.back)
                    yield _swapped(state, token, token, start), None, node.id
                if not kids:
                    yield _swapped(state, token, token._replace(status="out")), None, ""
            case "at", "act" if node.multi:
                count = int(token.key or "0")
                if not any(_is_in(each, token, node.id) for each in state.tokens):
                    left = token._replace(status="out", key="")
                    yield _swapped(state, token, left), Choice(node.id, count), ""
            case "at", "n_join" | "and_join" if node.need or node.id.endswith(":lost"):
                same = [each for each in state.tokens if each == token]
                if node.need.isdigit() and len(same) < int(node.need):
                    return
                out = token._replace(status="out")
                yield _swapped(state._replace(tokens=_without(state, same)), None, out), None, ""
            case (("out" | "failed"), _):
                edges = [] if token.status == "failed" else self.graph.out_of(node.id)
                if len(edges) > 1:
                    for edge in edges:
                        yield _swapped(state, token, self._along(token, edge)), None, ""
                for boundary in self._thrown(token, node):
                    at = token._replace(node=boundary, status="at", key="")
                    yield _swapped(state, token, at), Choice(node.id, 0, boundary), ""
            case _:
                pass

    def _thrown(self, token: Token, node: Node) -> Iterator[str]:
        """The boundaries by which control may leave an act; if it ended, those of code behind."""
        region = node.region
        own = {kind.__name__ for kind in region.raises} if isinstance(region, Act) else set()
        for boundary in self.graph.boundaries(node.id):
            name = boundary.id.rpartition(":on:")[2]
            if node.kind == "act" and (token.status == "failed" or name not in own):
                yield boundary.id

    def _ways(self, token: Token, node: Node) -> Iterator[tuple[int, Edge]]:
        """The edges out of a gate; behind a `finally` the one that control came in for."""
        tag = token.tags[-1] if token.tags else ""
        head, _, name = tag.partition("\0")
        is_then = bool(tag) and node.id == head.removesuffix(":finally") + ":then"
        for way, edge in enumerate(self.graph.out_of(node.id)):
            if not is_then or edge.tag == name:
                yield way, edge

    # --- what happens by itself -------------------------------------------------------------------

    def _settled(self, state: State) -> State:
        is_moving = True
        while is_moving:
            is_moving = False
            for token in state.tokens:
                after = self._step(state, token)
                if after is not None:
                    state, is_moving = after, True
                    break
        return state

    def _step(self, state: State, token: Token) -> State | None:
        """Do what a token does without being asked; None if it waits for something."""
        node = self.nodes[token.node]
        edges = self.graph.out_of(node.id)
        match token.status, node.kind:
            case "at", "start" | "xor_merge" | "boundary":
                return _swapped(state, token, token._replace(status="out"))
            case "at", "xor_split" if len(edges) == 1:
                return _swapped(state, token, self._along(token, edges[0]))
            case "at", "and_split" if node.act == "member":
                group = self._home_of(token, "group")
                kid = self._along(token, edges[0])._replace(home=group)
                return _swapped(state, token, kid, *(self._along(token, e) for e in edges[1:]))
            case "at", "and_split":
                return _swapped(state, token, *(self._along(token, each) for each in edges))
            case "at", "and_join" if node.id.endswith(":join"):
                arrived = [each for each in state.tokens if each[:4] == token[:4]]
                if len(arrived) < len(self.graph.out_of(node.id.removesuffix(":join"))):
                    return None
                out = token._replace(status="out")
                return _swapped(state._replace(tokens=_without(state, arrived)), None, out)
            case "at", "n_join" if self._is_over(state, token):
                return _swapped(state, token)
            case "at", "event_split":
                home = (*token.home, (node.id, 0))
                made = [self._along(token, each)._replace(home=home) for each in edges]
                return _swapped(state, token, token._replace(status="box"), *made)
            case "at", "container" if node.multi not in {"seq", "par"} and node.act != "lock":
                return self._entered(state, token, node)
            case "at", "end" | "stop_end" | "error_end":
                return self._ended(state, token, node)
            case "at", "act" if node.pattern is None:
                return _swapped(state, token, token._replace(status="out"))
            case "at", "again":
                frame = node.id.replace("again:", "in:", 1).partition("~")[0]
                entry = next(e.dst for e in self.graph.edges if frame in self._around[e.dst]
                             and frame not in self._around[e.src])  # fmt: skip
                at = token._replace(node=entry, back=(*token.back, node.id))
                return _swapped(state, token, at)
            case "box", "container" if node.act == "race" and _is_empty(state, token):
                return None  # it is over only when a branch has won
            case (("box" | "rest"), _) if _is_empty(state, token):
                over = [token._replace(status="out")] if token.status == "box" else []
                return _swapped(state, token, *over)
            case "out", _ if len(edges) == 1 and not list(self._thrown(token, node)):
                return _swapped(state, token, self._along(token, edges[0]))
            case "out", _ if not edges and node.kind in {"container", "boundary"}:
                return _swapped(state, token)
            case _:
                return None

    def _is_over(self, state: State, token: Token) -> bool:
        """Whether the race around is decided: who comes later changes nothing."""
        race, home = token.home[-1][0], token.home[:-1]
        return any((each.node, each.home) == (race, home) and each.status in {"won", "rest"}
                   for each in state.tokens)  # fmt: skip

    def _entered(self, state: State, token: Token, node: Node) -> State:
        start = Token(f"{node.id}:start", home=(*token.home, (node.id, 0)), tags=token.tags,
                      back=token.back)  # fmt: skip
        return _swapped(state, token, token._replace(status="box"), start)

    def _ended(self, state: State, token: Token, node: Node) -> State:
        """What the end of a branch does to the container that it stands in."""
        inner, _, name = node.id.rpartition(":stop:")
        state = _swapped(state, token)
        home = token.home
        while home and home[-1][0] != (inner or self.graph.container_of(node.id)):
            home = home[:-1]
        if name == "cancelled" or (not home and not inner and node.kind == "end"):
            return state
        if home and node.id == f"{home[-1][0]}:end":  # one of many counts for a join that counts
            many = Token(home[-1][0], "out", "", home[:-1], token.tags, token.back)
            state = _swapped(state, None, *self._counted(many))
        if not home:
            return self._killed(state, (), spared=True)  # it ends the run
        box = next(
            each
            for each in state.tokens
            if (each.node, each.home) == (home[-1][0], home[:-1]) and each.status in _AROUND
        )
        if inner:
            state = self._killed(state, home, spared=True)
            is_raced = isinstance(self.nodes[box.node].region, Race)
            at = box._replace(node=f"{inner}:on:{name}", status="at")
            if is_raced:  # a race that a failure has decided is recorded, too
                at = box._replace(status="won", key=at.node)
            return _swapped(state, box if box.status != "at" else None, at)
        if ":won" not in node.id or box.status != "box":
            return state
        if node.kind == "stop_end":
            state = self._killed(state, home)
        return _swapped(state, box, box._replace(status="won"))

    def _killed(self, state: State, home: Home, *, spared: bool = False) -> State:
        """End all that stands in a home; blocks with promises keep them.

        spared: losers that may finish do so, since control only leaves them behind.
        """
        inside = [each for each in state.tokens if each.home[: len(home)] == home]
        if spared:
            inside = [each for each in inside if not self._is_left(state, each)]
        doomed = state.doomed | {each.key for each in inside if each.status == "on"}
        doomed |= {f"?{each.node}" for each in inside if self.nodes[each.node].act == "mark"}
        doomed |= {f"!{act}" for each in inside for act in self._always(each, home)}
        undoing = [Token(f"{each.node}:on:cancelled", tags=(f"{each.node}\0cancelled",))
                   for each in inside
                   if each.status == "box" and self.nodes[each.node].act == "compensation"
                   and f"{each.node}:on:cancelled" in self.nodes]  # fmt: skip
        return _swapped(State(_without(state, inside), doomed), None, *undoing)

    def _always(self, token: Token, home: Home) -> Iterator[str]:
        """The acts of each `finally` around what is withdrawn: they are done all the same."""
        region = self.nodes[token.node].region
        for head, inside in self._guarded.items():
            is_around = not home or home[-1][0] in self._around[head]
            if is_around and region is not None and region.id in inside:
                guarded = self.nodes[head].region
                assert isinstance(guarded, Guarded)
                yield from (str(each.pattern) for each in acts_of(guarded.final))

    @staticmethod
    def _is_left(state: State, token: Token) -> bool:
        """Whether a token belongs to a race that is decided, and whose losers finish."""
        return token.status == "rest" or any(
            each.status == "rest" and _is_in(token, each, each.node) for each in state.tokens
        )

    def _along(self, token: Token, edge: Edge) -> Token:
        """A token behind an edge: out of a recursion it comes back to where it was begun."""
        tags, back = token.tags, token.back
        if edge.tag and tags and tags[-1].endswith(f"\0{edge.tag}"):
            tags = tags[:-1]
        if self.nodes[edge.dst].act == "finally" and edge.tag:
            tags = (*tags, f"{edge.dst}\0{edge.tag}")
        if back:
            frame = back[-1].replace("again:", "in:", 1).partition("~")[0]
            if frame in self._around[edge.src] and frame not in self._around[edge.dst]:
                return Token(back[-1], "out", "", token.home, tags, back[:-1])
        return Token(edge.dst, "at", "", token.home, tags, back)

    def _home_of(self, token: Token, act: str) -> Home:
        home = token.home
        while home and self.nodes[home[-1][0]].act != act:
            home = home[:-1]
        return home

    # --- what happens in the run ------------------------------------------------------------------

    def _target(self, happened: Happened) -> str:
        pattern = self._patterns.of(happened.key) if happened.key else None
        return "" if pattern is None else str(pattern)

    def _consumed(self, state: State, happened: Happened) -> Iterator[State]:
        key, node = happened.key, self._target(happened)
        match happened.what:
            case "begin":
                yield from self._begun(state, key, node)
            case "ok" | "failed":
                if key in state.doomed:
                    yield state._replace(doomed=state.doomed - {key})
                for token in state.tokens:
                    if (token.key, token.status) == (key, "on"):
                        yield self._finished(state, token, happened.what)
            case "cancelled":
                if key in state.doomed:
                    yield state._replace(doomed=state.doomed - {key})
            case "record":
                yield from self._recorded(state, key, node)
            case _:
                yield self._killed(state, ())

    def _begun(self, state: State, key: str, node: str) -> Iterator[State]:
        if f"!{node}" in state.doomed:
            yield state._replace(doomed=state.doomed - {f"!{node}"} | {key})
        for token in dict.fromkeys(state.tokens):
            if (token.node, token.status) != (node, "at"):
                continue
            multi = self.nodes[node].multi
            if not multi:
                yield _swapped(state, token, token._replace(status="on", key=key))
            elif multi == "par" or not any(_is_in(each, token, node) for each in state.tokens):
                one = Token(node, "on", key, (*token.home, (node, 0)))
                counted = token._replace(key=str(int(token.key or "0") + 1))
                yield _swapped(state, token, counted, one)

    def _finished(self, state: State, token: Token, what: str) -> State:
        status = "out" if what == "ok" else "failed"
        if token.home and token.home[-1][0] == token.node:  # one of many
            outer = token.home[:-1]
            state = _swapped(state, token)
            many = next(e for e in state.tokens if (e.node, e.home) == (token.node, outer))
            if status == "failed":
                return _swapped(state, many, many._replace(status="failed", key=""))
            return _swapped(state, None, *self._counted(many._replace(key="")))
        if token.home and self.nodes[token.home[-1][0]].kind == "event_split":
            split, outer = token.home[-1][0], token.home[:-1]
            box = next(e for e in state.tokens if (e.node, e.home) == (split, outer))
            state = self._killed(_swapped(_swapped(state, token), box), token.home)
            waiting = token._replace(status="won", key=split, home=outer)
            return _swapped(state, None, waiting)
        return _swapped(state, token, token._replace(status=status, key=""))

    def _counted(self, many: Token) -> Iterator[Token]:
        """What one of many sends to a join that counts."""
        for edge in self.graph.out_of(many.node):
            if self.nodes[edge.dst].kind == "n_join":
                yield self._along(many, edge)

    def _recorded(self, state: State, key: str, node: str) -> Iterator[State]:
        kind = self.nodes[node].kind if node in self.nodes else ""
        if f"?{node}" in state.doomed:  # it was asked for, and is answered only now
            yield state
        for token in dict.fromkeys(state.tokens):
            if (token.key, token.status) == (key, "on"):  # a run of its own has been started
                is_over = self.nodes[node].act == "spawn"
                yield self._finished(state, token, "ok") if is_over else state
            if kind == "act" and (token.node, token.status) == (node, "at"):
                yield self._marked(
                    _swapped(state, token, token._replace(status="out")), node, token
                )
            elif kind == "event_split" and (token.status, token.key) == ("won", node):
                yield _swapped(state, token, token._replace(status="out", key=""))
            elif token.node != node or kind != "container":
                continue
            elif token.status == "at" and self.nodes[node].act == "lock":
                yield self._entered(state, token, self.nodes[node])
            elif token.status == "won" and token.key:
                yield _swapped(state, token, token._replace(node=token.key, status="at", key=""))
            elif token.status == "won":
                left = [token._replace(status="rest")] if not _is_empty(state, token) else []
                yield _swapped(state, token, token._replace(status="out"), *left)

    def _marked(self, state: State, node: str, token: Token) -> State:
        """What a mark does to what stands elsewhere: it cancels a scope, or ends a group's."""
        region = self.nodes[node].region
        assert isinstance(region, Act)
        name = str(region.pattern).rpartition(".")[0]
        if region.verb == "cancel":
            for box in [each for each in state.tokens if each.status == "box"]:
                scope = self.nodes[box.node].region
                if isinstance(scope, Scope) and scope.name == name and box in state.tokens:
                    state = self._killed(state, (*box.home, (box.node, 0)))
                    at = box._replace(node=f"{box.node}:on:cancelled", status="at")
                    state = _swapped(state, box, at)
        if region.verb in {"cancel", "complete"} or region.need:
            home = self._home_of(token, "group")
            own = set(token.home)
            beside = [each for each in state.tokens if home and each.home[: len(home)] == home
                      and each.status == "on" and not set(each.home) - own]  # fmt: skip
            state = State(_without(state, beside), state.doomed | {each.key for each in beside})
        return state

    # --- what leads to what -----------------------------------------------------------------------

    def _above(self, id_: str) -> Iterator[str]:
        parent = self.nodes[id_].parent
        while parent:
            yield parent
            parent = self.nodes[parent].parent

    def _leads(self) -> dict[str, set[str]]:
        """For each node with a key, the nodes from which a token may come to it with no event."""
        into: dict[str, set[str]] = {id_: set() for id_ in self.nodes}
        for edge in self.graph.edges:
            into[edge.dst].add(edge.src)
        for node in self.nodes.values():
            if node.host:
                into[node.id].add(node.host)
            container = self.graph.container_of(node.id)
            if container:
                into[container].add(node.id)  # what ends in it lets it go on
                if node.kind == "start":
                    into[node.id].add(container)
            if node.kind == "again":
                for id_, around in self._around.items():
                    if node.id.replace("again:", "in:", 1).partition("~")[0] in around:
                        into[id_].add(node.id)
                        into[node.id].add(id_)
        found: dict[str, set[str]] = {}
        for node in self.nodes.values():
            if node.pattern is not None:
                reached, todo = {node.id}, [node.id]
                while todo:
                    for each in into[todo.pop()] - reached:
                        reached.add(each)
                        todo.append(each)
                found[node.id] = reached
        return found


def _swapped(state: State, old: Token | None, *new: Token) -> State:
    tokens = list(state.tokens)
    if old is not None:
        tokens.remove(old)
    return state._replace(tokens=tuple(sorted([*tokens, *new])))


def _without(state: State, gone: Iterable[Token]) -> tuple[Token, ...]:
    tokens = list(state.tokens)
    for each in gone:
        tokens.remove(each)
    return tuple(tokens)


def _is_in(inner: Token, box: Token, node: str) -> bool:
    depth = len(box.home)
    home = inner.home
    return len(home) > depth and home[:depth] == box.home and home[depth][0] == node


def _is_empty(state: State, box: Token) -> bool:
    """Whether nothing holds a container up: losers that finish hold up the end of the run alone."""
    inside = [each for each in state.tokens if _is_in(each, box, box.node)]
    left = [each for each in inside if each.status == "rest"]
    return all(each in left or any(_is_in(each, rest, rest.node) for rest in left)
               for each in inside)  # fmt: skip
