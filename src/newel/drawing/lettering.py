"""How wide text is, without a browser: a table of widths that errs on the wide side.

And which of its letters XML can hold.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["cut", "legible", "width", "wrapped"]

_NARROW: Final = frozenset("iljtfrI.,:;!|'()[]{}-/ ")
_WIDE: Final = frozenset("mwMW@%&")
_SIZES: Final = {"narrow": 0.32, "wide": 0.9, "capital": 0.68, "plain": 0.57, "full": 1.0}


def width(text: str, size: float) -> float:
    """How wide a text is in pixels at a size in pixels."""
    return round(sum(_of(letter) for letter in text) * size, 1)


def _of(letter: str) -> float:
    if letter in _NARROW:
        return _SIZES["narrow"]
    if letter in _WIDE:
        return _SIZES["wide"]
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return _SIZES["full"]
    return _SIZES["capital" if letter.isupper() else "plain"]


def cut(text: str, size: float, most: float) -> str:
    """A text that fits, with an ellipsis where it was cut; marks stay with their letters."""
    if width(text, size) <= most:
        return text
    kept = text
    while kept and width(kept + "…", size) > most:
        kept = kept[:-1]
        while kept and unicodedata.combining(text[len(kept)]):
            kept = kept[:-1]
    return kept.rstrip() + "…"


def wrapped(text: str, size: float, most: float) -> tuple[str, ...]:
    """A text on one line, or on two where it does not fit; what fits on neither is cut."""
    if width(text, size) <= most:
        return (text,)
    words = text.split(" ")
    first = 1
    while first < len(words) and width(" ".join(words[: first + 1]), size) <= most:
        first += 1
    lines = (" ".join(words[:first]), " ".join(words[first:]))
    return tuple(cut(each, size, most) for each in lines if each)


def legible(text: str) -> str:
    """Text as XML takes it: without control characters and marks that turn the direction."""
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff"
    kept = "".join(each for each in text if each >= " " and each not in turning)
    return kept.encode("utf-8", "replace").decode()
