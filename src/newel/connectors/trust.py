"""Whose certificates are believed, read once for a process.

Reading the public authorities takes some 30 ms of a core; a client per system, per delivery or
per copy of a checkpoint would each pay it again.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx2


@cache
def public_authorities() -> ssl.SSLContext:
    """Give what certificates are judged by: the public authorities, nothing of the environment."""
    return httpx2.create_ssl_context(trust_env=False)
