"""Listings of many pages: read to their end, or refused where they have none.

Every vendor says in its own way where the next page begins: by a token, a number, an address. What
is common is this loop, and that a listing which never ends is our error, not an endless run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from newel.base.errors import Bug

__all__ = ["MOST_PAGES", "pages", "place_after"]

MOST_PAGES: Final = 1000
Page = TypeVar("Page")
At = TypeVar("At")


async def pages(
    listing: str, read: Callable[[At], Awaitable[tuple[Page, At | None]]], first: At
) -> AsyncIterator[Page]:
    """Give the pages of a listing, in order.

    listing: its name, for messages. read: gives the page that begins at a place, and where the next
    one begins; None behind the last. Raises Bug if a thousand pages are not the end.
    """
    at = first
    for _ in range(MOST_PAGES):
        page, following = await read(at)
        yield page
        if following is None:
            return
        at = following
    raise Bug(f"The listing {listing} has no end.")


def place_after(place: int, count: int, end: int) -> int | None:
    """Give the place of the next page, of a listing whose entries are numbered; None at its end.

    place: where the page begins that has so many entries. end: the place behind the last entry. A
    page without entries is the last, whatever is said of the total.
    """
    following = place + count
    return following if count and following < end else None
