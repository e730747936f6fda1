"""Listings page by page: in order, to their end, and refused where they have none."""

from __future__ import annotations

import pytest

from newel.base.errors import Bug
from newel.connectors.paging import MOST_PAGES, pages


async def test_pages_come_in_order_until_the_last():
    """Each page says where the next begins; behind the last nothing is read."""
    asked = []

    async def read(at: str) -> tuple[str, str | None]:
        asked.append(at)
        return f"page {at or 'one'}", {"": "b", "b": "c"}.get(at)

    assert [page async for page in pages("users", read, "")] == ["page one", "page b", "page c"]
    assert asked == ["", "b", "c"]


async def test_a_page_is_read_when_it_is_wanted():
    """Whoever stops at the first page costs one request."""
    asked = []

    async def read(at: int) -> tuple[int, int | None]:
        asked.append(at)
        return at, at + 1

    async for _ in pages("users", read, 0):
        break
    assert asked == [0]


async def test_a_listing_without_an_end_is_refused_by_its_name():
    """A thousand pages are read, and not one more."""
    asked = []

    async def read(at: int) -> tuple[int, int | None]:
        asked.append(at)
        return at, at + 1

    with pytest.raises(Bug, match="listing users has no end"):
        [page async for page in pages("users", read, 0)]
    assert len(asked) == MOST_PAGES
