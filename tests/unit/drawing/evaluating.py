"""Random expressions with acts in them: what Python evaluates first, and what only sometimes."""

from __future__ import annotations

from random import Random

__all__ = ["HEAD", "Evaluated"]

HEAD = '''"""Random expressions."""

from newel import process
from tests.unit.drawing.generating import do


def joined(*parts: object, last: object = "") -> str:
    """Join whatever there is."""
    return "".join(str(each) for each in (*parts, last))
'''


class Evaluated:
    """A process of a few statements; sure: the acts that run whatever the others answer."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"{seed} expressions")
        self.name = f"e{seed}"
        self.sure: set[str] = set()
        self._number = 0
        self._is_sure = True
        body = ['table = {"x": ""}', 'said = ""', *(self._statement() for _ in range(4))]
        self.text = "\n".join([
            '@process(subject=None, owner="it")',
            f"async def {self.name}() -> str:",
            '    """Evaluate what chance says."""',
            *(f"    {each}" for each in body),
            '    return "done"',
        ])  # fmt: skip

    def _statement(self) -> str:
        forms = [
            "said = str({0})",
            "said += str({0})",
            "table[{a}] = str({0})",
            "table[{a}] += str({0})",
            "table[{a}], said = str({0}), str({1})",
            "said = table[{a}] = str({0})",
            "joined({0}, {1})",
        ]
        form = self.random.choice(forms)
        parts = [self._expression(2) for each in ("{0}", "{1}") if each in form]
        return form.format(*parts, a=self._act() if "{a}" in form else "")

    def _act(self) -> str:
        self._number += 1
        if self._is_sure:
            self.sure.add(f"do[n{self._number}]")
        return f'(await do["n{self._number}"]("x"))'

    def _expression(self, depth: int) -> str:
        if not depth or self.random.random() < 0.2:
            return self._act()
        if self.random.random() < 0.1:
            return f"f'''{{{self._act()}}} {{{self._act()}:>{{len({self._act()})}}}}'''"
        forms = [
            "({0}, {1})",
            "[{0}, {1}, {2}]",
            "{{{0}: {1}, {2}: {3}}}",
            "(str({0}) + str({1}))",
            "(str({0}) < str({1}))",
            "joined({0}, *[{1}], last={2})",
            "joined(last={0}, *[{1}])",
            "joined(*({0}, {1}), **{{'last': {2}}})",
            "(value := {0})",
            "joined({0}).join([{1}])",
            "(not {0})",
        ]
        if self.random.random() < 0.15:
            return self._either(depth)
        form = self.random.choice(forms)
        needed = sum(f"{{{number}}}" in form for number in range(4))
        return form.format(*(f"str({self._expression(depth - 1)})" for _ in range(needed)))

    def _either(self, depth: int) -> str:
        asked = self._expression(depth - 1)
        before, self._is_sure = self._is_sure, False
        one, two = self._expression(depth - 1), self._expression(depth - 1)
        self._is_sure = before
        least = self.random.choice(('""', '"zzz"'))
        return f"({one} if str({asked}) > {least} else {two})"
