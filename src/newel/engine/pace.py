"""Seconds as the running loop counts them: leases, pauses and lengths of attempts go by them.

It is the host's monotonic clock, by which the loop's own timers go too; so a loop whose time is
a test's takes everything with it.
"""

from __future__ import annotations

import asyncio


def monotonic() -> float:
    """Give seconds that never run backwards; only differences mean anything."""
    return asyncio.get_running_loop().time()
