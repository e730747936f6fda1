"""User names: what stands before the @ of a work address, made of a person's name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from newel.domain.search import folded

__all__ = ["LONGEST_USER_NAME", "user_names"]

LONGEST_USER_NAME: Final = 20
_MOST: Final = 99
_NOT_PLAIN: Final = re.compile(r"[^a-z0-9]+")


def user_names(name: str) -> Iterator[str]:
    """Give user names for a person in the order in which they are tried: `jane.doe`, `jane.doe2`.

    First and last word of the name, without accents, at most 20 characters with the number; none
    for a name of which nothing is left in plain letters.
    """
    words = [plain for each in name.split() if (plain := _NOT_PLAIN.sub("", folded(each)))]
    whole = ".".join(words[:1] + words[1:][-1:])
    for number in range(1, _MOST + 1) if whole else ():
        end = "" if number == 1 else str(number)
        yield whole[: LONGEST_USER_NAME - len(end)].rstrip(".") + end
