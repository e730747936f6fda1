"""SQL by name: blocks of the `.sql` files beside the modules, loaded once.

A block opens with `-- name:`, says its parameters in order with `-- params:` (`none` where
there are none), then one sentence; the statement uses `$1…$n`. Nothing is ever formatted into
the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from newel.base.errors import StoreError

_BLOCK = re.compile(r"^-- name: (?P<name>\w+)\n-- params: (?P<params>[^\n]*)\n", re.MULTILINE)
_PARAMETER = re.compile(r"\$(\d+)")


class Queries:
    """The blocks of one file, as attributes."""

    def __init__(self, blocks: dict[str, str]) -> None:
        self._blocks = blocks

    def __getattr__(self, name: str) -> str:
        try:
            return self._blocks[name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._blocks.items())


@cache
def queries(module: str) -> Queries:
    """Load the blocks of `<module>.sql`.

    Raises StoreError if a block's parameters do not match what its header says.
    """
    text = (files("newel.store") / f"{module}.sql").read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    blocks: dict[str, str] = {}
    for index, block in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        statement = text[block.end() : end].strip()
        names = [] if block["params"] == "none" else block["params"].split(", ")
        used = {int(number) for number in _PARAMETER.findall(statement)}
        if used != set(range(1, len(names) + 1)):
            raise StoreError(
                f"{module}.sql: block {block['name']} names {len(names)} parameters and uses "
                f"{sorted(used)}."
            )
        blocks[block["name"]] = statement
    return Queries(blocks)
