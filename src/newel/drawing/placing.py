"""Where what the journal holds belongs in a drawing: keys are claimed as the runtime claims them.

Every act that is come to takes its next key, by its sections, its item and its counter. Where a
label or an item cannot be told, the keys that are left are met by their pattern (Rule K).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from newel.base.errors import NotJournalable
from newel.domain.keys import encoded
from newel.domain.patterns import ANY, Pattern
from newel.drawing.drawing import Drawing
from newel.drawing.names import UNKNOWN
from newel.drawing.plan import Past, Planned
from newel.drawing.regions import Act, Again, Lock, Promise, Race, Region, acts_of, walk
from newel.drawing.values import Scope, value_of
from newel.drawing.ways import ON, Outs

__all__ = ["Place", "Placing", "as_part"]

Place = tuple[str, str | None]
"""What a line is about: the id of a part, and its key if that is known."""


class Placing:
    """The lines of a plan while it is made, and what of the journal has no place yet."""

    def __init__(self, drawing: Drawing, past: Past) -> None:
        """Begin with nothing claimed."""
        self.drawing, self.past = drawing, past
        self.claims: Counter[str] = Counter()
        self.labels: list[str] = []
        self.lines: dict[Place, Planned] = {}
        self.left: set[str] = {*past.outcomes, *past.open}
        self.unfinished = 0
        self.looping = 0
        self.races: list[str] = []
        self.latest: dict[str, object] = {}

    def key_of(self, pattern: Pattern, item: str, scope: Scope) -> str | None:
        """The next key of an act; None where its label or its item is not known."""
        part = pattern.item
        if part is not None and ANY in part:
            part = as_part(value_of(item, scope))
            if part is None:
                return None
        if len(self.labels) < len(pattern.labels) or ANY in self.labels:
            return None
        base = str(Pattern(tuple(self.labels), pattern.name, part))
        self.claims[base] += 1
        number = self.claims[base]
        return base if number == 1 else f"{base}#{number}"

    def met(self, act: Act) -> Outs | None:
        """The keys of the journal that an act made whose key cannot be told here."""
        before = len(self.left)
        self.take(act)
        if len(self.left) == before:
            return None
        self.unfinished += 1  # more of them may come, or not
        return ON

    def is_evident(self, region: Region) -> bool:
        """Whether the journal has a key that only this part can make now."""
        return any(
            act.pattern.matches(key) and self._is_next(act.pattern, key)
            for act in acts_of(region)
            if not isinstance(act, Promise)
            for key in self.left
        )

    def _is_next(self, pattern: Pattern, key: str) -> bool:
        if ANY in str(pattern):
            return True
        number = self.claims[str(pattern)] + 1
        return key == (str(pattern) if number == 1 else f"{pattern}#{number}")

    def line(self, region: Region, key: str | None, line: Planned) -> None:
        """Note what is said of a key."""
        self.lines.pop((region.id, None), None)
        self.lines[region.id, key] = line

    def lowered(self, place: Place, reason: str) -> None:
        """Note that a line that was sure to come need not."""
        line = self.lines[place]
        if line.forecast == "will-run":
            self.lines[place] = replace(line, forecast="expected", reason=reason)

    def not_needed(self, region: Region, reason: str) -> None:
        """Note that a part does not come any more; what the journal holds of it stays."""
        for each in walk(region):
            if isinstance(each, Act | Race | Lock | Promise):
                self.take(each)
            if isinstance(each, Act | Race | Lock | Promise | Again):
                known = [key for node, key in self.lines if node == each.id]
                if not known or known == [None]:
                    self.lines[each.id, None] = self._without(each, reason)

    def _without(self, region: Region, reason: str) -> Planned:
        """A part that does not come now; inside a loop that goes on it may in another pass."""
        line = Planned(node=region.id, key=None, label=region.label, forecast="not-needed",
                       reason=reason)  # fmt: skip
        if self.looping:
            return replace(line, forecast="maybe", reason="only in another pass")
        return line

    def rest(self) -> tuple[str, ...]:
        """Give what is left of the journal its place by pattern; answers with what has none."""
        for act in acts_of(self.drawing.tree):
            self.take(act)
        return tuple(sorted(self.left))

    def take(self, act: Act | Race | Lock | Promise) -> None:
        """Note all that is left of the journal and that an act may have made."""
        for key in sorted(key for key in self.left if act.pattern.matches(key)):
            self.left.discard(key)
            outcome, now = self.past.outcomes.get(key), self.past.open.get(key)
            line = Planned(node=act.id, key=key, label=act.label)
            if outcome is not None:
                line = replace(line, state=outcome.word)
            elif now is not None:
                line = replace(line, state=now.word, reason=now.said, due=now.due)
            self.line(act, key, line)

    def over(self, ended: str) -> None:
        """Note that nothing comes any more."""
        for place, line in self.lines.items():
            if not line.state and line.forecast != "not-needed":
                said = f"the run is {ended}"
                self.lines[place] = replace(line, forecast="not-needed", reason=said)


def as_part(value: object) -> str | None:
    """A label or an item as it stands in keys; None for what cannot be one."""
    if value is UNKNOWN:
        return None
    try:
        return encoded(value)  # type: ignore[arg-type]  # what does not fit is refused there
    except (NotJournalable, TypeError):
        return None
