"""The engine: the only place that runs anything."""

from newel.engine.engine import Engine, Started
from newel.engine.vault import Vault
from newel.engine.worker import Worker, WorkerSettings

__all__ = ["Engine", "Started", "Vault", "Worker", "WorkerSettings"]
