"""Replay-safe helpers: the time, ids, facts and log lines that a body may use."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from newel.base.errors import OutsideRun
from newel.domain.values import AttemptInfo, RunInfo
from newel.flow.context import ATTEMPT, DRIVEN, MOMENT, SECTION, Driven


def now() -> datetime:
    """The moment recorded with the latest outcome this branch has received; aware, UTC.

    The same on every replay. Raises OutsideRun where no run is being driven.
    """
    moment = MOMENT.get()
    if moment is None:
        raise OutsideRun(act="now()")
    return moment.at


def new_id(name: str) -> UUID:
    """A UUID derived from run, branch, section, name and count: the same on every replay."""
    driven = _driven("new_id()")
    moment = MOMENT.get()
    full = "\0".join(("" if moment is None else moment.branch, SECTION.get(), name))
    count = 1
    if moment is not None:
        count = moment.ids.get(full, 0) + 1
        moment.ids[full] = count
    return uuid5(driven.run, f"{full}#{count}")


def this_run() -> RunInfo:
    """Recorded facts of the run: id, process, subject, start."""
    return _driven("this_run()").info


def this_attempt() -> AttemptInfo:
    """Facts of the attempt whose code is running; for authors of steps.

    Raises OutsideRun outside an attempt.
    """
    attempting = ATTEMPT.get()
    if attempting is None:
        raise OutsideRun(act="this_attempt()")
    return attempting.info


class Log:
    """Log lines of a body: written once per outcome reached, silent during replay."""

    def info(self, event: str, /, **fields: object) -> None:
        """Write one line with plain facts, once what it follows from is durable.

        Values that look like secrets or personal data are taken out, and long ones are cut.
        """
        driven = _driven("log.info()")
        if driven.is_live:
            driven.log_lines.append((driven.key, event, fields))


log = Log()


def _driven(what: str) -> Driven:
    driven = DRIVEN.get()
    if driven is None:
        raise OutsideRun(act=what)
    return driven
