"""Who acts in a form of the console: a person named by work address, until there is a sign-in."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.datastructures import FormData

from newel.audit.leaf import Actor
from newel.base.errors import InvalidInput
from newel.web.site import site_of

__all__ = ["NEEDS_ADDRESS", "acting_person", "address_in"]

NEEDS_ADDRESS: Final = "is missing: what you do is recorded under it"


def address_in(posted: FormData) -> str:
    """Give the address that was posted, as it was typed."""
    return str(posted.get("actor", "")).strip()


async def acting_person(request: Request, posted: FormData) -> Actor:
    """Say who acts. Raises InvalidInput where no address was given, NotFound as the engine."""
    address = address_in(posted)
    if "@" not in address:
        raise InvalidInput({"actor": NEEDS_ADDRESS})
    return await site_of(request).engine.actor(address, via="console")
