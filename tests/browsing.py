"""A client of the console and the API on this machine, through the application: no socket."""

from __future__ import annotations

import httpx2
from fastapi import FastAPI

__all__ = ["at_home"]

_HOME = "http://127.0.0.1"


def at_home(app: FastAPI, *, is_browser: bool = False) -> httpx2.AsyncClient:
    """Give a client; a browser says from where its forms are sent."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app, client=("127.0.0.1", 50_000)),
        base_url=_HOME,
        headers={"Origin": _HOME} if is_browser else {},
    )
