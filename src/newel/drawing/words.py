"""The words of newel as regions: steps, waits, children, marks and promises.

Each makes the pattern of its key exactly as the runtime makes the key (`newel.flow`).
"""

from __future__ import annotations

import ast
from typing import Any, Final, cast

from newel.base.errors import ChildFailed, NotJournalable, Overdue, StepFailed
from newel.domain.keys import named
from newel.drawing.expressions import Expressions
from newel.drawing.labels import capital, in_words, spoken
from newel.drawing.names import UNKNOWN, Thing, stored
from newel.drawing.regions import Act, ActKind, Promise, Region
from newel.flow.forms import form
from newel.flow.milestones import Milestone
from newel.flow.process import Process
from newel.flow.scopes import Scope
from newel.flow.step import Step
from newel.flow.waits import Event, approval, timer

__all__ = ["WAITS", "Words", "former_of", "keyword"]

WAITS: Final[dict[object, ActKind]] = {approval: "approval", form: "form", timer: "timer"}


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """An argument that was given by name."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def former_of(call: ast.Call) -> tuple[str, ...]:
    """The names that `formerly=` of a call says, as far as they are literals."""
    said = keyword(call, "formerly")
    parts = said.elts if isinstance(said, ast.Tuple) else [] if said is None else [said]
    texts = [each.value for each in parts if isinstance(each, ast.Constant)]
    return tuple(each for each in texts if isinstance(each, str))


class Words(Expressions):
    """Makes the regions of single acts."""

    def step(
        self, call: ast.Call, step: Step[..., Any], item: ast.expr | None, target: ast.expr | None
    ) -> Region:
        """The call of a step."""
        options = step.options
        given_up = (StepFailed,) if options.exhausted == "fail" else ()
        fixed = step.base[len(step.name) + 1 : -1] if step.base != step.name else None
        act = Act(
            act="step",
            **self._keyed(call, step.name, item, target, fixed=fixed),
            label=capital(step.title if step.title != step.name else in_words(step.name)),
            name=step.name,
            raises=(*options.raises, *given_up),
            system=options.system or "",
            formerly=step.formerly,
            live=step,
        )
        self.place(act, item, call)
        return act

    def child(
        self,
        call: ast.Call,
        process: Process[..., Any],
        item: ast.expr | None,
        target: ast.expr | None,
    ) -> Region:
        """The call of a process: a run that this one waits for."""
        act = Act(
            act="child",
            **self._keyed(call, process.name, item, target),
            label=capital(
                process.title if process.title != process.name else in_words(process.name)
            ),
            name=process.name,
            raises=(ChildFailed,),
            formerly=process.formerly,
            live=process,
        )
        self.place(act, item, call)
        return act

    def spawn(self, call: ast.Call, target: ast.expr | None) -> Region | None:
        """`spawn(process, …)`, or of a request; None where the process cannot be seen."""
        what: ast.expr | None = call.args[0] if call.args else None
        if isinstance(what, ast.Call) and isinstance(what.func, ast.Attribute):
            self.frame.consumed.add(id(what))
            what = what.func.value  # `process.request(…)`
        item = what.slice if isinstance(what, ast.Subscript) else None
        what = what.value if isinstance(what, ast.Subscript) else what
        process = UNKNOWN if what is None else self.names.value(what)
        if not isinstance(process, Process):
            return None
        known = cast("Process[..., Any]", process)
        act = Act(
            act="spawn",
            **self._keyed(call, known.name, item, target),
            label=f"Starts {in_words(known.title)}",
            name=known.name,
            formerly=known.formerly,
            live=known,
        )
        self.place(act, item)
        self.bind(target, Thing(role="child", what=act))
        return act

    def result(self, call: ast.Call, spawned: Act, target: ast.expr | None) -> Region:
        """`child.result()`: the wait for a run that was spawned."""
        item = spawned.pattern.item
        pattern = self.pattern(call, f"{spawned.name}.result", item)
        act = Act(
            id=self.id_of(str(pattern)),
            where=self.where(call),
            act="mark",
            verb="result",
            pattern=pattern,
            name=spawned.name,
            label=f"Waits for the end of {in_words(spawned.name)}",
            target="" if target is None else ast.unparse(target),
            item=spawned.item,
            call=ast.unparse(call),
            raises=(ChildFailed,),
            live=spawned.live,
        )
        varies = next((each.varies for each in self.placed if each.region is spawned), frozenset())
        self.place(act, None)
        if varies:
            last = self.placed.pop()
            self.placed.append(
                type(last)(act, last.varies | varies, False, last.rounds, last.chain, item or "")
            )
        self.bind(target, Thing())
        return act

    def wait(self, call: ast.Call, kind: ActKind, target: ast.expr | None) -> Region | None:
        """`approval`, `form` or `timer`; None, with a finding, where the key is computed."""
        key = self.key(call, kind)
        if key is None:
            return None
        name, item, fixed = key
        schema = call.args[1] if len(call.args) > 1 else keyword(call, "schema")
        title = keyword(call, "title")
        said = None if title is None else self.names.value(title)
        within = self._source(call, "within")
        self._packed(keyword(call, "allows"))
        act = Act(
            act=kind,
            **self._keyed(call, name, item, target, fixed=fixed),
            label=said if isinstance(said, str) else capital(in_words(name)),
            name=name,
            by=self._source(call, "by"),
            within=within,
            remind=self._source(call, "remind"),
            at=self._source(call, "at"),
            after=self._source(call, "after"),
            schema="" if schema is None or kind != "form" else ast.unparse(schema),
            raises=(Overdue,) if within else (),
            formerly=former_of(call),
            live=self._when(call),
        )
        self.place(act, item)
        return act

    def _packed(self, allows: ast.expr | None) -> None:
        """Calls in `allows=`, or in a name that it says, are asked about and not made."""
        if allows is None:
            return
        said = {each.id for each in ast.walk(allows) if isinstance(each, ast.Name)}
        nodes = (node for each in self.frame.source.body for node in ast.walk(each))
        assigned = [node for node in nodes if isinstance(node, ast.Assign)]
        packed = [each.value for each in assigned if said.intersection(stored(each))]
        for each in (allows, *packed):
            self.frame.consumed.update(id(one) for one in ast.walk(each))

    def event(
        self,
        call: ast.Call,
        event: Event[Any],
        item: ast.expr | None,
        target: ast.expr | None,
    ) -> Region:
        """`event.wait(…)`."""
        within = self._source(call, "within")
        act = Act(
            act="event",
            **self._keyed(call, event.name, item, target),
            label=capital(in_words(event.name)),
            name=event.name,
            within=within,
            match=self._source(call, "match"),
            raises=(Overdue,) if within else (),
            is_buffered=event.is_buffered,
            formerly=former_of(call),
            live=event,
        )
        self.place(act, item)
        return act

    def mark(
        self, call: ast.Call, owner: object, verb: str, target: ast.expr | None
    ) -> Region | None:
        """An act of a scope or a milestone; None for a method that is none."""
        if isinstance(owner, Scope) and verb == "cancel":
            return self._marked(call, f"{owner.name}.cancel", None, owner, verb, target)
        if isinstance(owner, Milestone) and verb in {"reach", "leave"}:
            return self._marked(call, f"{owner.name}.{verb}", None, owner, verb, target)
        if isinstance(owner, Milestone) and verb in {"holds", "reached"}:
            key = self.key(call, f"milestone.{verb}")
            return None if key is None else self._marked(call, key[0], key[1:], owner, verb, target)
        return None

    def of_group(self, call: ast.Call, name: str, verb: str, target: ast.expr | None) -> Region:
        """`join`, `complete` and `cancel` of a group."""
        base, bracket, rest = name.partition("[")
        fixed = rest[:-1] if bracket else None
        need = call.args[0] if call.args else keyword(call, "need")
        pattern = self.pattern(call, f"{base}.{verb}", fixed)
        self.frame.consumed.add(id(call))
        act = Act(
            id=self.id_of(str(pattern)),
            where=self.where(call),
            act="mark",
            verb=verb,
            pattern=pattern,
            name=base,
            label=f"{capital(verb)} {in_words(base)}",
            target="" if target is None else ast.unparse(target),
            call=ast.unparse(call),
            need="" if need is None else ast.unparse(need),
        )
        self.place(act, None)
        self.bind(target, Thing())
        return act

    def promise(self, call: ast.Call) -> Region | None:
        """`undo(step, …)`; None, with a finding, where the step cannot be seen."""
        self.frame.consumed.add(id(call))
        what = call.args[0] if call.args else None
        item = what.slice if isinstance(what, ast.Subscript) else None
        named_by = what.value if isinstance(what, ast.Subscript) else what
        step = UNKNOWN if named_by is None else self.names.value(named_by)
        if not isinstance(step, Step):
            what_ = "Cannot see which step is promised here."
            self.add("F103", call, what_, "name the step itself: `undo(google.restore, …)`.")
            return None
        known = cast("Step[..., Any]", step)
        pattern = self.pattern(
            call, known.name, None if item is None else self.part(item), undo=True
        )
        found = Promise(
            id=self.id_of(str(pattern)),
            where=self.where(call),
            pattern=pattern,
            name=known.name,
            label=capital(known.title if known.title != known.name else in_words(known.name)),
            live=known,
        )
        self.place(found, item)
        return found

    # --- parts --------------------------------------------------------------------------------

    def key(self, call: ast.Call, word: str) -> tuple[str, ast.expr | None, str | None] | None:
        """The name, item and literal item of a key that is written as text; else F102."""
        first = call.args[0] if call.args else keyword(call, "key")
        value = UNKNOWN if first is None else self.names.value(first)
        if isinstance(value, str):
            try:
                text = named(value)
            except NotJournalable as error:
                self.add("F304", call, str(error), "another name.")
                return None
            name, bracket, rest = text.partition("[")
            return name, None, rest[:-1] if bracket else None
        match first:
            case ast.JoinedStr(
                values=[
                    ast.Constant(value=str(head)),
                    ast.FormattedValue(value=hole, conversion=-1, format_spec=None),
                    ast.Constant(value="]"),
                ]
            ) if head.endswith("[") and "[" not in head[:-1]:
                return head[:-1], hole, None
            case _:
                what = f"The key of this `{word}` is computed: it cannot be found after a restart."
                self.add("F102", call, what, 'a literal, or `f"level[{…}]"` for one of many.')
                return None

    def _marked(
        self,
        call: ast.Call,
        name: str,
        key: tuple[ast.expr | None, str | None] | None,
        owner: Scope | Milestone,
        verb: str,
        target: ast.expr | None,
    ) -> Region:
        item, fixed = key or (None, None)
        words = in_words(owner.name)
        asked = f"{capital(in_words(name))}?" if verb == "holds" else f"Until {words}"
        plain = {"cancel": f"Cancel {words}", "reach": f"{capital(words)} begins"}
        said = plain | {"leave": f"{capital(words)} ends"}
        act = Act(
            act="mark",
            verb=verb,
            **self._keyed(call, name, item, target, fixed=fixed),
            label=said.get(verb, asked),
            name=owner.name,
            formerly=former_of(call),
            live=owner,
        )
        self.place(act, item)
        return act

    def _keyed(
        self,
        call: ast.Call,
        name: str,
        item: ast.expr | None,
        target: ast.expr | None,
        *,
        fixed: str | None = None,
    ) -> dict[str, Any]:  # Any: fields of several types, spread into a region
        """What all acts have: id, place, pattern, and the names their result is bound to."""
        self.frame.consumed.add(id(call))
        part = fixed if item is None else self.part(item)
        pattern = self.pattern(call, name, part)
        self.bind(target, Thing(varies=self.names.varies(item)))
        return {
            "id": self.id_of(str(pattern)),
            "where": self.where(call),
            "pattern": pattern,
            "target": "" if target is None else ast.unparse(target),
            "item": "" if item is None else ast.unparse(item),
            "call": ast.unparse(call),
        }

    def _source(self, call: ast.Call, name: str) -> str:
        node = keyword(call, name)
        is_none = isinstance(node, ast.Constant) and node.value is None
        return "" if node is None or is_none else ast.unparse(node)

    def _when(self, call: ast.Call) -> str:
        """A deadline or moment in words: labels of handlers say it."""
        for name in ("within", "after", "at"):
            node = keyword(call, name)
            if node is not None:
                return spoken(node, self.names)
        return ""
