"""Finding people although their names are typed wrongly: folded text and its trigrams.

The writer of a person stores `grams(name, address)` in an array with an index on it, and the
search overlaps that array with the grams of what was typed. No extension of the database is
needed, and "Jan Doe" still finds "Jane Doe". Both sides fold text here, in one place.
Source: product document, §11 "Finding the person".
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["beginnings", "folded", "grams", "similarity"]

_NO_DECOMPOSITION: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)
_BETWEEN_WORDS: Final = re.compile(r"[^\w]+|_")


def folded(text: str) -> str:
    """Write text as it is compared: no case, no accents, one blank between words."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(_BETWEEN_WORDS.sub(" ", bare.casefold().translate(_NO_DECOMPOSITION)).split())


def grams(*texts: str) -> list[str]:
    """Give the trigrams of all words of some texts, sorted, each once.

    A word is taken with two blanks before it and one behind, so that its beginning weighs
    more than its end and a word of one letter has grams, too.
    """
    found: set[str] = set()
    for text in texts:
        for word in folded(text).split():
            padded = f"  {word} "
            found.update(padded[place : place + 3] for place in range(len(padded) - 2))
    return sorted(found)


def beginnings(text: str) -> list[str]:
    """Give the trigrams that stand in every text whose words begin with the words of this one."""
    found: set[str] = set()
    for word in folded(text).split():
        padded = f"  {word}"
        found.update(padded[place : place + 3] for place in range(len(padded) - 2))
    return sorted(found)


def similarity(asked: str, known: str) -> float:
    """Say which share of the grams of `asked` stands in `known`: 0.0 to 1.0."""
    wanted = grams(asked)
    return len(set(wanted) & set(grams(known))) / len(wanted) if wanted else 0.0
