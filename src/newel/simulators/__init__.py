"""Faithful stand-ins of six vendors: stateful, deterministic, checking what the vendors check.

They import nothing of newel, so that no shared mistake can make connector and stand-in agree. Each
is an ASGI application (`simulator.app`); `serve` runs several on loopback; `World` makes all six of
one demo company with one seed and one clock. Source: connectors document, Part C.
"""
