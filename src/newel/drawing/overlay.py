"""The live state of one run on its drawing: what is shown of every part, acts and blocks alike.

A part of which there are many (items, passes) shows the worst of them and a counter; a block shows
the worst of what it holds. Source: drawing document, §8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from newel.domain.keys import base_of
from newel.drawing.plan import Plan, Planned
from newel.drawing.regions import Region, Seq, kids_of

__all__ = ["AHEAD", "DONE", "WORDS", "Shown", "shown"]

_WORST: Final = (
    "parked", "failed", "task", "in-doubt", "retrying", "running", "waiting", "will-run",
    "expected", "maybe", "done", "by-hand", "skipped", "cancelled", "not-needed",
)  # fmt: skip
AHEAD: Final = frozenset({"will-run", "expected", "maybe", "not-needed"})
"""What is said of acts that have not begun."""
DONE: Final = frozenset({"done", "by-hand", "skipped", "failed"})

WORDS: Final[dict[str, str]] = {
    "done": "Done",
    "by-hand": "Done by hand",
    "skipped": "Skipped",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "running": "Running",
    "retrying": "Retrying",
    "in-doubt": "Checking whether it happened",
    "task": "Waiting for a person",
    "waiting": "Waiting",
    "parked": "Parked",
    "will-run": "Next",
    "expected": "Expected",
    "maybe": "Perhaps",
    "not-needed": "Not needed",
}
"""States and forecasts as people read them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a part. word: its state or forecast; counter: "4 of 6", "pass 3".

    arm: of a choice, the arm that is taken, as far as that is known.
    """

    word: str
    reason: str = ""
    counter: str = ""
    arm: int | None = None

    @property
    def said(self) -> str:
        """All of it in words."""
        return ", ".join(each for each in (WORDS[self.word], self.counter, self.reason) if each)


def shown(tree: Seq, plan: Plan) -> dict[str, Shown]:
    """What is shown of every part of a drawing, by its id."""
    lines: dict[str, list[Planned]] = {}
    for line in plan.lines:
        lines.setdefault(line.node, []).append(line)
    found: dict[str, Shown] = {}
    _collected(tree, lines, found)
    for choice, arm in plan.taken.items():
        found[choice] = replace(found.get(choice, Shown("done")), arm=arm)
    return found


def _collected(
    region: Region, lines: Mapping[str, list[Planned]], found: dict[str, Shown]
) -> list[str]:
    """Note what is shown of a region and all inside; gives the words of what it holds."""
    words = [word for kid in kids_of(region) for word in _collected(kid, lines, found)]
    own = lines.get(region.id, [])
    if own:
        found[region.id] = _of_lines(own)
        words.append(found[region.id].word)
    elif words and region.id:
        found[region.id] = Shown(_worst(words))
    return words


def _of_lines(lines: list[Planned]) -> Shown:
    words = [_word(each) for each in lines]
    word = _worst(words)
    reason = next(each.reason for each, said in zip(lines, words, strict=True) if said == word)
    if len(lines) == 1:
        return Shown(word, reason)
    bases = {base_of(each.key) for each in lines if each.key}
    if len(bases) == 1:
        return Shown(word, reason, f"pass {len(lines)}")
    return Shown(word, reason, f"{sum(each in DONE for each in words)} of {len(lines)}")


def _word(line: Planned) -> str:
    return line.state or line.forecast or "maybe"


def _worst(words: Iterable[str]) -> str:
    return min(words, key=_WORST.index)
