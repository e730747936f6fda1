"""The functions of the named statements, one module for each file of the store."""

from newel.testing.memory.statements import (
    changes,
    commands,
    deployment,
    endpoints,
    gates,
    incidents,
    journal,
    ledger,
    messages,
    registry,
    rooms,
    runs,
    schedules,
    streams,
    tasks,
    workers,
)

__all__ = [
    "changes",
    "commands",
    "deployment",
    "endpoints",
    "gates",
    "incidents",
    "journal",
    "ledger",
    "messages",
    "registry",
    "rooms",
    "runs",
    "schedules",
    "streams",
    "tasks",
    "workers",
]
