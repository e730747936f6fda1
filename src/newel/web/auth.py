"""Who calls: a key of the API, or a program on this machine.

Where no key is configured, only this machine is served. Where one is (in the settings, or in
the database), the API asks for a key, from wherever the call comes. Keys are compared as hashes
in constant time; a key in the database has an expiry.
Source: security document, §4.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from newel.audit.leaf import Actor
from newel.store import access
from newel.web.documents import optional_text
from newel.web.security import is_local
from newel.web.site import Site, site_of

__all__ = ["Caller", "KnownCaller", "acting", "local_only"]

_KEY: Final = re.compile(r"newel_(?P<id>[A-Za-z0-9]{8})_(?P<secret>[A-Za-z0-9_-]{43})")
_SETTINGS_KEY: Final = "settings"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API; key: the public part of the key, None on this machine without one."""

    key: str | None


async def known_caller(request: Request) -> Caller:
    """Admit a caller to the API, or answer 401 or 403."""
    site = site_of(request)
    given = _given(request)
    if given is not None and (key := await _opened(site, given)) is not None:
        return Caller(key)
    if await _asks_for_key(site):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    if given is not None:
        raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if not is_local(request.scope):
        raise HTTPException(403)
    return Caller(None)


KnownCaller = Annotated[Caller, Depends(known_caller)]
"""A route's parameter: the caller, admitted."""


def local_only(request: Request) -> None:
    """Admit to a page whoever sits at this machine; others get 403."""
    if not is_local(request.scope):
        raise HTTPException(403)


async def acting(
    request: Request, caller: Caller, members: dict[str, object] | None = None
) -> Actor:
    """Say who acts: the `actor` of the body or of `Newel-Actor`, else the key's service.

    Errors: InvalidInput for an `actor` that is no text.
    """
    engine = site_of(request).engine
    named = optional_text(members or {}, "actor")
    person = named or request.headers.get("newel-actor")
    return await engine.actor(person, via="api", key=caller.key)


def _given(request: Request) -> str | None:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else None


async def _opened(site: Site, given: str) -> str | None:
    """Give the public part of a key that opens the API."""
    configured = site.settings.api_key
    if configured is not None and hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(),
        hashlib.sha256(configured.resolve().reveal().encode()).digest(),
    ):
        return _SETTINGS_KEY
    match = _KEY.fullmatch(given)
    row = None if match is None else await access.read_key(site.database, match["id"])
    if row is None or not hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), row["sha256"]
    ):
        return None
    await access.used_key(site.database, row["id"])
    found: str = row["id"]
    return found


async def _asks_for_key(site: Site) -> bool:
    return site.settings.api_key is not None or await access.any_key(site.database)
