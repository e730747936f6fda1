"""How a drawing is looked at, as the address of its page says it.

What is chosen, opened and how large it is stands in the address, so that a link shows the same,
the page needs no script, and whatever refreshes it keeps what the reader has set.
Source: console document, §1, §10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote, urlencode

__all__ = ["Look"]

_ZOOMS: Final = (50, 67, 80, 100, 125, 150, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an address says. zoom: percent of the drawing's own size; 0: as wide as its place."""

    view: str = ""
    key: str = ""
    opened: tuple[str, ...] = ()
    has_all_paths: bool = False
    zoom: int = 0

    def at(self, anchor: str, **changes: Any) -> str:  # Any: the fields' own types
        """The address of the same page with something changed."""
        then = replace(self, **changes)
        pairs = [("view", then.view), ("key", then.key), *(("open", each) for each in then.opened)]
        pairs.append(("paths", "all" if then.has_all_paths else ""))
        pairs.append(("zoom", str(then.zoom or "")))
        query = urlencode([pair for pair in pairs if pair[1]], quote_via=quote, safe="")
        return f"?{query}#{anchor}"

    def choosing(self, node: str) -> str:
        """The address at which the inspector shows a part."""
        return self.at("inspector", key=node)

    def opening(self, block: str) -> str:
        """The address at which a folded block is open, too."""
        return self.at("drawing", opened=(*self.opened, block))

    @property
    def paths(self) -> str:
        """The address with the paths that are not taken, or without them."""
        return self.at("drawing", has_all_paths=not self.has_all_paths)

    @property
    def fit(self) -> str:
        """The address at which the drawing is as wide as its place."""
        return self.at("drawing", zoom=0)

    @property
    def whole(self) -> str:
        """The address at which it has its own size."""
        return self.at("drawing", zoom=100)

    @property
    def larger(self) -> str:
        """The address at which it is the next size larger; the largest stays."""
        return self._stepped(dict(pairwise(_ZOOMS)))

    @property
    def smaller(self) -> str:
        """The address at which it is the next size smaller; the smallest stays."""
        return self._stepped(dict(pairwise(reversed(_ZOOMS))))

    def _stepped(self, following: dict[int, int]) -> str:
        now = self.zoom or 100
        near = min(_ZOOMS, key=lambda each: abs(each - now))
        return self.at("drawing", zoom=following.get(near, near))
