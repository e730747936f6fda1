"""Ports that the simulated systems of a test process keep for its whole life."""

from __future__ import annotations

import contextlib
import os
import socket

_HOW_MANY = 6
_PLACES = 1000


def neighbouring(first: int) -> int:
    """Give the first of six neighbouring free ports, from 1,000 such places on.

    They are free now and bound later, again and again: each process begins at a place of its own,
    and `first` has to keep all places below 32768, where systems hand out ports by chance.
    """
    for place in range(_PLACES):
        at = first + (os.getpid() + place) % _PLACES * _HOW_MANY
        with contextlib.ExitStack() as sockets:
            try:
                for port in range(at, at + _HOW_MANY):
                    one = sockets.enter_context(socket.socket())
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return at
    raise AssertionError("no six neighbouring ports are free")
