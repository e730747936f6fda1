"""How a worker behaves, in one class."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from newel.domain.retry import Retry, standard
from newel.engine.calls import CallSettings
from newel.engine.runner import Limits

__all__ = ["WorkerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker behaves.

    lease: how long its right to its runs lasts without a heartbeat. grace: how long attempts may
    end after it was asked to stop. look: the pause between two looks at open incidents.
    calls: the pools in which steps run. limits: of outcomes.
    removals_per_hour: so many people may lose access with one credential before somebody is asked.
    """

    lease: timedelta = timedelta(seconds=15)
    heartbeat: timedelta = timedelta(seconds=5)
    concurrency: int = 500
    grace: timedelta = timedelta(seconds=20)
    retry: Retry = standard
    look: timedelta = timedelta(milliseconds=500)
    calls: CallSettings = field(default_factory=CallSettings)
    limits: Limits = field(default_factory=Limits)
    removals_per_hour: int = 10
