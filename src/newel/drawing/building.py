"""From the region tree to the graph: one rule for each kind of region.

A builder walks the tree with *loose ends*: edges whose source is known and whose target is the
next node that is made. Control that leaves early goes outwards through what stands around
(`surroundings`), and is taken by the first that can: a loop takes `break`, a handler the exception
that it catches, a `finally` everything.
"""

from __future__ import annotations

from collections.abc import Callable

from newel.drawing.graph import Graph, NodeKind
from newel.drawing.parts import Parts
from newel.drawing.regions import (
    Act,
    Again,
    Call,
    Choice,
    Compensation,
    Each,
    Group,
    Guarded,
    Jump,
    Kind,
    Lock,
    Loop,
    Member,
    Par,
    Promise,
    Pure,
    Race,
    Raise,
    Region,
    Rest,
    Return,
    Scope,
    Section,
    Seq,
    walk,
)
from newel.drawing.surroundings import (
    Beside,
    Bounds,
    Caller,
    Catching,
    Lasting,
    Loose,
    Promises,
    Rounds,
    Surrounding,
    Way,
)

__all__ = ["graph_of"]

Build = Callable[[list[Loose]], list[Loose]]


def graph_of(tree: Seq) -> Graph:
    """Derive the graph of a process; the same tree always gives the same graph."""
    return _Builder(tree.where).built(tree)


class _Builder(Parts):
    """Makes nodes and edges, region by region."""

    def built(self, tree: Seq) -> Graph:
        """The whole graph."""
        self.node(":start", "start", "Start", tree)
        outs = self.region(tree, [Loose(":start")])
        if outs:
            end = self.node(self.free("return:end"), "end", "Done", tree)
            self.connect(outs, end)
        return Graph(self.nodes, tuple(self.edges))

    # --- regions ------------------------------------------------------------------------------

    def region(self, region: Region, ins: list[Loose]) -> list[Loose]:
        """Add a region behind loose ends; gives those behind it."""
        match region:
            case Seq(kids=kids):
                for kid in kids:
                    if not ins:
                        return []  # nothing is left to go on
                    ins = self.region(kid, ins)
                return ins
            case Act() | Rest() | Again():
                return self.act(region, ins)
            case Choice():
                return self.choice(region, ins)
            case Loop():
                return self.loop(region, ins)
            case Each():
                return self.each(region, ins)
            case Par():
                return self.par(region, ins)
            case Race():
                return self.race(region, ins)
            case Group():
                return self.group(region, ins)
            case Member():
                return self.member(region, ins)
            case Scope():
                return self.scope(region, ins)
            case Lock(body=body, pattern=pattern):
                return self.container(
                    region, ins, lambda inner: self.region(body, inner), act="lock", pattern=pattern
                )
            case Call() | Section():
                return self.frame(region, ins)
            case Guarded():
                return self.guarded(region, ins)
            case Compensation():
                return self.compensation(region, ins)
            case Promise():
                self.promised(region)
                return ins
            case Return() | Raise() | Jump():
                return self.leaving(region, ins)
            case _:
                return ins

    def act(self, region: Act | Rest | Again, ins: list[Loose], multi: str = "") -> list[Loose]:
        """One act, with a boundary for each way in which it can fail."""
        if isinstance(region, Again):
            self.connect(ins, self.node(region.id, "again", region.label, region))
            return [Loose(region.id)]
        if isinstance(region, Rest):
            self.connect(ins, self.node(region.id, "act", region.label, region, act="rest"))
            return [Loose(region.id)]
        self.node(
            region.id,
            "act",
            region.label,
            region,
            pattern=region.pattern,
            act=region.act,
            process=region.name if region.act in {"child", "spawn"} else "",
            by=region.by,
            within=region.within,
            need=region.need,
            multi=multi,
        )
        self.connect(ins, region.id)
        for kind in (*region.raises, *self.unforeseen(region)):
            self.failing(region, kind)
        return [Loose(region.id)]

    def failing(self, region: Region, kind: Kind) -> None:
        """A boundary on what can fail, and the way of the exception from there."""
        boundary = f"{region.id}:on:{kind.__name__}"
        way = Way.of_failure(kind)
        self.node(boundary, "boundary", way.label, region, host=region.id)
        self.leave(way, [Loose(boundary, kind="fail")])

    def unforeseen(self, region: Act) -> list[Kind]:
        """Exceptions that only handlers around expect: of the code behind an act, not of it."""
        found: list[Kind] = []
        for each in reversed(self.around):
            if isinstance(each, Bounds | Beside):
                break
            if isinstance(each, Catching):
                found += [kind for kind in each.unforeseen if kind not in region.raises]
        return list(dict.fromkeys(found))

    def choice(self, region: Choice, ins: list[Loose]) -> list[Loose]:
        """A gate, its arms, and a merge if more than one arm comes to its end."""
        if not any(is_drawn(each) for each in walk(region)):
            return ins
        split = self.node(region.id, "xor_split", region.label, region)
        self.connect(ins, split)
        outs: list[Loose] = []
        for arm in region.arms:
            is_default = arm.condition is None
            end = Loose(split, label=arm.label, cond=arm.condition or "", default=is_default)
            outs += self.region(arm.kid, [end])
        return self.merged(outs, f"{region.id}:merge", region)

    def loop(self, region: Loop, ins: list[Loose]) -> list[Loose]:
        """A head that all passes come to, a test, and the edges back."""
        head = self.node(region.id, "xor_merge", region.label, region, act="loop")
        self.connect(ins, head)
        rounds = Rounds()
        self.around.append(rounds)
        ends = self.region(region.test, [Loose(head)])
        leaves: list[Loose] = []
        if region.condition is not None and ends:
            test = self.node(f"{region.id}:test", "xor_split", _asked(region), region)
            self.connect(ends, test)
            ends = [Loose(test, label="yes", cond=region.condition)]
            leaves = [Loose(test, label="no", default=True)]
        ends = self.region(region.body, ends)
        self.around.pop()
        self.connect([*ends, *rounds.continues], head, kind="back")
        outs = self.region(region.orelse, leaves) if leaves else []
        return self.merged([*outs, *rounds.breaks], f"{region.id}:exit", region)

    def each(self, region: Each, ins: list[Loose]) -> list[Loose]:
        """One for each of many: an act with a mark, or a container with one."""
        inside = [kid for kid in region.body.kids if not isinstance(kid, Pure)]
        if len(inside) == 1 and isinstance(inside[0], Act):
            return self.act(inside[0], ins, region.mode)

        def built(inner: list[Loose]) -> list[Loose]:
            rounds = Rounds()
            self.around.append(rounds)
            outs = self.region(region.body, inner)
            self.around.pop()
            return self.merged([*outs, *rounds.continues], f"{region.id}:next", region)

        self.container(region, ins, built, act="each", multi=region.mode)
        return [Loose(region.id)]  # none of them is a way through, too

    def par(self, region: Par, ins: list[Loose]) -> list[Loose]:
        """A fork, its branches, and the join that waits for all of them."""
        split = self.node(region.id, "and_split", region.label, region)
        self.connect(ins, split)
        outs: list[Loose] = []
        failures: list[tuple[Way, Loose]] = []
        for branch in region.branches:
            found, failed = self.branch(branch, [Loose(split)])
            outs += found
            failures += failed
        join = self.node(f"{region.id}:join", "and_join", "", region)
        self.connect(outs, join)
        self.connect([end for _, end in failures], join)
        return self.raised_behind(region, join, failures)

    def branch(self, kid: Seq, ins: list[Loose]) -> tuple[list[Loose], list[tuple[Way, Loose]]]:
        """A branch: its ends, and the ends of its failures."""
        beside = Beside()
        self.around.append(beside)
        outs = self.region(kid, ins)
        self.around.pop()
        return outs, beside.failures

    def raised_behind(
        self, region: Region, join: str, failures: list[tuple[Way, Loose]]
    ) -> list[Loose]:
        """What failed in branches is raised together, when all of them rest."""
        if not failures:
            return [Loose(join)]
        then = self.node(f"{region.id}:then", "xor_split", "", region)
        self.connect([Loose(join)], then)
        way = Way.of_group(way for way, _ in failures)
        self.leave(way, [Loose(then, kind="fail", label="fails")])
        return [Loose(then, label="goes on", default=True)]

    def race(self, region: Race, ins: list[Loose]) -> list[Loose]:
        """Waits alone are a gate of events; anything else is a container that one branch ends."""
        waits = [branch.kid.kids for branch in region.branches]
        if not region.need and region.losers == "cancel" and all(_is_wait(each) for each in waits):
            split = self.node(
                region.id, "event_split", region.label, region, pattern=region.pattern
            )
            self.connect(ins, split)
            outs: list[Loose] = []
            for branch in region.branches:
                outs += self.region(branch.kid, [Loose(split, label=branch.name)])
            return self.merged(outs, f"{region.id}:merge", region)

        def built(inner: list[Loose]) -> list[Loose]:
            fork = self.node(f"{region.id}:fork", "and_split", "", region)
            self.connect(inner, fork)
            return self.counted(region, fork) if region.need else self.first(region, fork)

        return self.container(
            region, ins, built, act="race", pattern=region.pattern, need=region.need
        )

    def first(self, region: Race, fork: str) -> list[Loose]:
        """The branches of `first_of`: the end of any ends all."""
        ends_well = False
        for branch in region.branches:
            outs = self.region(branch.kid, [Loose(fork, label=branch.name)])
            if outs:
                kind: NodeKind = "stop_end" if region.losers == "cancel" else "end"
                stop = self.node(f"{region.id}:won:{branch.name}", kind, branch.name, region)
                self.connect(outs, stop)
                ends_well = True
        return [Loose("")] if ends_well else []

    def counted(self, region: Race, fork: str) -> list[Loose]:
        """The branches of `n_of`: the n-th success ends all; failures are raised if too many."""
        outs: list[Loose] = []
        failures: list[tuple[Way, Loose]] = []
        for branch in region.branches:
            found, failed = self.branch(branch.kid, [Loose(fork, label=branch.name)])
            outs += found
            failures += failed
        join = self.node(f"{region.id}:join", "n_join", region.label, region, need=region.need)
        self.connect(outs, join)
        kind: NodeKind = "stop_end" if region.losers == "cancel" else "end"
        stop = self.node(f"{region.id}:won", kind, "", region)
        self.connect([Loose(join)], stop)
        if failures:
            lost = self.node(f"{region.id}:lost", "and_join", "", region)
            self.connect([end for _, end in failures], lost)
            way = Way.of_group(way for way, _ in failures)
            self.leave(way, [Loose(lost, kind="fail", label="too few")])
        return [Loose("")]

    def group(self, region: Group, ins: list[Loose]) -> list[Loose]:
        """A container that grows; what fails in members is raised where they are joined."""
        beside = Beside()

        def built(inner: list[Loose]) -> list[Loose]:
            self.around.append(beside)
            outs = self.region(region.body, inner)
            self.around.remove(beside)
            if beside.failures:
                failed = self.node(f"{region.id}:failed", "xor_merge", "", region)
                self.connect([end for _, end in beside.failures], failed)
                way = Way.of_group(way for way, _ in beside.failures)
                self.leave(way, [Loose(failed, kind="fail")])
            return outs

        return self.container(region, ins, built, act="group", multi="grows")

    def member(self, region: Member, ins: list[Loose]) -> list[Loose]:
        """From here on what is added runs beside the body."""
        split = self.node(region.id, "and_split", region.label, region, act="member")
        self.connect(ins, split)
        outs = self.region(region.kid, [Loose(split)])
        if outs:
            self.connect(outs, self.node(f"{region.id}:end", "end", "", region))
        return [Loose(split)]

    def scope(self, region: Scope, ins: list[Loose]) -> list[Loose]:
        """A container that goes on behind its end, also when it is cancelled."""
        outs = self.container(
            region, ins, lambda inner: self.region(region.body, inner), act="scope"
        )
        boundary = f"{region.id}:on:cancelled"
        self.node(boundary, "boundary", "Cancelled", region, host=region.id)
        return self.merged([*outs, Loose(boundary, kind="jump")], f"{region.id}:exit", region)

    def container(
        self, region: Region, ins: list[Loose], build: Build, **more: object
    ) -> list[Loose]:
        """A node with a flow of its own inside; gives its normal exit, if it has one."""
        self.node(region.id, "container", region.label, region, **more)
        self.connect(ins, region.id)
        outer, self.parent = self.parent, region.id
        self.around.append(Bounds(region.id, region))
        start = self.node(f"{region.id}:start", "start", "", region)
        outs = build([Loose(start)])
        ends = [end for end in outs if end.src]
        if ends:
            self.connect(ends, self.node(f"{region.id}:end", "end", "", region))
        self.around.pop()
        self.parent = outer
        return [Loose(region.id)] if outs else []

    def frame(self, region: Call | Section, ins: list[Loose]) -> list[Loose]:
        """Nodes that belong together; the returns of a helper meet at its end."""
        kind = "call" if isinstance(region, Call) else "section"
        self.node(region.id, "frame", region.label, region, act=kind)
        outer, self.parent = self.parent, region.id
        caller = Caller()
        if isinstance(region, Call):
            self.around.append(caller)
        outs = self.region(region.kid, ins)
        if isinstance(region, Call):
            self.around.pop()
        outs = self.merged([*outs, *caller.returns], f"{region.id}:merge", region)
        self.parent = outer
        return outs

    def leaving(self, region: Return | Raise | Jump, ins: list[Loose]) -> list[Loose]:
        """`return`, `raise`, `break` and `continue` lead out of what stands around."""
        match region:
            case Return():
                way = Way("return", region=region, label=region.label)
            case Raise(type=kind):
                way = Way.of_failure(kind or Exception, region)
            case _:
                way = Way(region.verb, region=region)
        is_early = isinstance(region, Jump) or self.is_inside(Rounds, Catching, Lasting)
        self.leave(way, [end.jumping() if is_early and end.kind == "flow" else end for end in ins])
        return []

    def is_inside(self, *kinds: type[Surrounding]) -> bool:
        """Whether one of these stands around, in the function that is being drawn."""
        for each in reversed(self.around):
            if isinstance(each, kinds):
                return True
            if isinstance(each, Caller):
                return False
        return False

    # --- failures -----------------------------------------------------------------------------

    def guarded(self, region: Guarded, ins: list[Loose]) -> list[Loose]:
        """`try`: handlers stand where exceptions can arise, a `finally` on every way out."""
        lasting = Lasting() if region.final.kids else None
        if lasting is not None:
            self.around.append(lasting)
        catching = Catching(region)
        self.around.append(catching)
        ins = self.before_acts(region, catching, ins)
        outs = self.region(region.body, ins)
        self.around.pop()
        outs = self.region(region.orelse, outs) if outs else []
        for index, handler in enumerate(region.handlers):
            entries = catching.entries[index]
            name = handler.name.rpartition(".")[2]
            ends = self.merged(entries, f"{region.id}:on:{name}", region)
            ends = [end.labelled(handler.label) for end in ends]
            outs += self.region(handler.kid, ends) if ends else []
        outs = self.merged(outs, f"{region.id}:merge", region)
        if lasting is None:
            return outs
        self.around.pop()
        return self.always(region, lasting, outs)

    def before_acts(self, region: Guarded, catching: Catching, ins: list[Loose]) -> list[Loose]:
        """Code before the first act of a body may fail, too, if a handler expects that."""
        first = region.body.kids[0] if region.body.kids else None
        if not catching.unforeseen or isinstance(first, Act):
            return ins
        split = self.node(f"{region.id}:in", "xor_split", "", region)
        self.connect(ins, split)
        for kind in catching.unforeseen:
            way = Way.of_failure(kind)
            self.leave(way, [Loose(split, kind="fail", label=way.label, cond=kind.__name__)])
        return [Loose(split, default=True)]

    def always(self, region: Guarded, lasting: Lasting, outs: list[Loose]) -> list[Loose]:
        """One copy of the `finally`, entered and left with the way that control was on."""
        ways: dict[str, tuple[Way | None, list[Loose]]] = {}
        if outs:
            ways["next"] = (None, outs)
        for way, end in lasting.entries:
            ways.setdefault(way.tag, (way, []))[1].append(end)
        head = self.node(f"{region.id}:finally", "xor_merge", "Always", region, act="finally")
        for tag, (_, entries) in ways.items():
            self.connect([end.tagged(tag) for end in entries], head)
        ends = self.region(region.final, [Loose(head)])
        if not ends:
            return []
        if len(ways) == 1:
            tag, (only, _) = next(iter(ways.items()))
            return self.onwards(only, [end.tagged(tag) for end in ends])
        then = self.node(f"{region.id}:then", "xor_split", "", region)
        self.connect(ends, then)
        behind: list[Loose] = []
        for number, (tag, (onwards, _)) in enumerate(ways.items()):
            label = "goes on" if onwards is None else onwards.said
            end = Loose(then, label=label, tag=tag, default=number == 0)
            behind += self.onwards(onwards, [end])
        return behind

    def onwards(self, way: Way | None, ends: list[Loose]) -> list[Loose]:
        """Go on behind a `finally`: to what follows, or outwards."""
        if way is None:
            return ends
        self.leave(way, ends)
        return []

    def compensation(self, region: Compensation, ins: list[Loose]) -> list[Loose]:
        """A container with its promises, newest first, where its failures and cancelling lead."""
        promises = Promises()

        def built(inner: list[Loose]) -> list[Loose]:
            self.around.append(promises)
            outs = self.region(region.body, inner)
            self.around.remove(promises)
            self.undoing(region, promises)
            return outs

        return self.container(region, ins, built, act="compensation")

    def promised(self, region: Promise) -> None:
        """From here on a failure puts this back, too."""
        for each in reversed(self.around):
            if isinstance(each, Promises):
                each.made.append(region)
                return

    def undoing(self, region: Compensation, promises: Promises) -> None:
        """The chain of promises, entered at the latest that stood before what failed."""
        made = promises.made
        for promise in reversed(made):
            self.node(
                promise.id, "undo", promise.label, promise, pattern=promise.pattern, act="step"
            )
        for newer, older in zip(reversed(made), list(reversed(made))[1:], strict=False):
            self.connect([Loose(newer.id, kind="undo")], older.id)
        ways: dict[str, Way] = {}
        for count, way, end in promises.failures:
            if count:
                self.connect([end], made[count - 1].id)
                ways.setdefault(way.tag, way)
            else:
                self.leave(way, [end])
        if not made:
            return
        boundary = f"{region.id}:on:cancelled"
        self.node(boundary, "boundary", "If it is cancelled", region, host=region.id)
        stop = self.node(f"{region.id}:stop:cancelled", "stop_end", "Cancelled", region)
        for latest in (*(each.id for each in reversed(made)), stop):  # as far as it has come
            self.connect([Loose(boundary, kind="undo")], latest)
        if not ways:
            self.connect([Loose(made[0].id)], stop)
            return
        then = self.node(f"{region.id}:then", "xor_split", "", region)
        self.connect([Loose(made[0].id)], then)
        self.connect([Loose(then, label="cancelled", default=True, tag="cancelled")], stop)
        for way in ways.values():
            self.leave(way, [Loose(then, kind="fail", label=way.said, tag=way.tag)])


def is_drawn(region: Region) -> bool:
    """Whether a region is more than a computation."""
    return not isinstance(region, Seq | Pure | Choice)


def _is_wait(kids: tuple[Region, ...]) -> bool:
    if len(kids) != 1 or not isinstance(kids[0], Act):
        return False
    return kids[0].act in {"timer", "event", "approval", "form"} and not kids[0].raises


def _asked(region: Loop) -> str:
    return "Another one?" if region.over else region.label.replace("While ", "", 1)
