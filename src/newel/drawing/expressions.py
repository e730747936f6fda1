"""The acts of one expression, in the order in which Python evaluates it.

Source: the language reference, "Evaluation order"; drawing document, §3.4.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

from newel.drawing.regions import Region
from newel.drawing.state import State

__all__ = ["Expressions", "has_await"]

_WRITE_AN_IF: Final = "write an `if`."


def has_await(node: ast.AST | None) -> bool:
    """Whether something is awaited in a node, blocks included, functions inside it left out."""
    todo: list[ast.AST] = [] if node is None else [node]
    while todo:
        each = todo.pop()
        if isinstance(each, ast.Await | ast.AsyncWith | ast.AsyncFor):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo.extend(ast.iter_child_nodes(each))
    return False


class Expressions(State):
    """Reads expressions; what is awaited is told by `awaited`."""

    def awaited(self, node: ast.Await, target: ast.expr | None) -> list[Region]:
        """The regions of an awaited expression; target: what its result is bound to."""
        raise NotImplementedError

    def fan_out(self, node: ast.ListComp, target: ast.expr | None) -> list[Region]:
        """The regions of a comprehension that awaits its elements one after another."""
        raise NotImplementedError

    def acts_in(self, node: ast.expr | None, target: ast.expr | None = None) -> list[Region]:
        """The regions of an expression; target: what its whole value is bound to."""
        if node is None or not has_await(node):
            return []
        match node:
            case ast.Await():
                return self.awaited(node, target)
            case ast.NamedExpr(value=value, target=name):
                return self.acts_in(value, name)
            case ast.BoolOp(values=[first, *rest]):
                return [*self.acts_in(first), *self._sometimes(rest, "after `and` or `or`")]
            case ast.IfExp():
                return self._either(node, target)
            case ast.Compare(left=left, comparators=[first, *rest]):
                return [
                    *self.acts_in(left),
                    *self.acts_in(first),
                    *self._sometimes(rest, "later in a comparison"),
                ]
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self._comprehension(node, target)
            case ast.Lambda():
                return []
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return self._all(each for pair in pairs for each in pair)
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return self._all([function, *arguments, *(each.value for each in keywords)])
            case _:
                children = ast.iter_child_nodes(node)
                return self._all(each for each in children if isinstance(each, ast.expr))

    def _all(self, nodes: Iterable[ast.expr | None]) -> list[Region]:
        return [region for each in nodes for region in self.acts_in(each)]

    def _sometimes(self, nodes: list[ast.expr], place: str) -> list[Region]:
        found: list[Region] = []
        for each in nodes:
            if has_await(each):
                what = f"`await` {place} happens only sometimes and cannot be drawn."
                self.add("F401", each, what, _WRITE_AN_IF)
                found += self.acts_in(each)
        return found

    def _either(self, node: ast.IfExp, target: ast.expr | None) -> list[Region]:
        raise NotImplementedError

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
        target: ast.expr | None,
    ) -> list[Region]:
        is_plain = isinstance(node, ast.ListComp) and len(node.generators) == 1
        generator = node.generators[0]
        if generator.is_async:
            self.add("F109", node, "`async for` cannot be drawn.", "iterate over a step's result.")
            return []
        if any(has_await(each) for each in generator.ifs):
            what = "`await` in the condition of a comprehension happens only sometimes."
            self.add("F401", node, what, "a `for` with an `if`.")
            return []
        if not is_plain or not isinstance(node, ast.ListComp):
            what = "An act in a comprehension of this form cannot be drawn."
            self.add("F402", node, what, "a `for`, or one list comprehension with one `for`.")
            return []
        return [*self.acts_in(generator.iter), *self.fan_out(node, target)]
