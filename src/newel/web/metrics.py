"""`/metrics`: numbers for Prometheus, read from the database at the moment they are asked for.

Whatever worker or server is asked says the same, so one of them is scraped and none counts in its
own memory: a restart resets nothing. No number is of a person or a run, and no label names one.
Like the pages, it serves this machine; with `metrics_token` it asks for that token, from wherever
the call comes. The token opens nothing else.
Source: security document, §2, §14.5; https://prometheus.io/docs/instrumenting/exposition_formats/
(text format 0.0.4, read 2026-11-29).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from newel.base.version import VERSION
from newel.store import metrics as rows
from newel.store.database import Row
from newel.web.auth import local_only
from newel.web.site import Site, site_of

__all__ = ["GAUGES", "Gauge", "Sample", "exposed", "router"]

router = APIRouter(include_in_schema=False)

_MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number by its name, without `newel_` before it, and what it says."""

    name: str
    told: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one gauge reads, for one choice of labels."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


GAUGES: Final[tuple[Gauge, ...]] = (
    Gauge("info", "1; the label names the version that answers."),
    Gauge("unsealed_batches", "Batches of audit events that have no place in the log yet."),
    Gauge("unsealed_age_seconds", "How long the oldest of them waits."),
    Gauge("checkpoint_age_seconds", "How long ago the head of the log was signed last."),
    Gauge("anchor_age_seconds", "How long ago a place outside took a signed head last."),
    Gauge("workers_alive", "Workers whose lease holds."),
    Gauge("workers_lost", "Workers whose lease ran out and that did not stop orderly."),
    Gauge("leases_ended", "How often workers were taken over from, or came back after a silence."),
    Gauge("due_runs", "Runs that are due and that no worker has taken: overdue timers, too."),
    Gauge("due_age_seconds", "How long the oldest of them is due."),
    Gauge("steps_in_doubt", "Steps of which it is not known whether they have happened."),
    Gauge("inbox_waiting", "Messages that no run has taken yet."),
    Gauge("inbox_age_seconds", "How long the oldest of them waits."),
    Gauge("clock_difference_seconds", "Clock of the database less clock of this host."),
    Gauge("runs", "Open runs, by state."),
    Gauge("parked_steps", "Steps that wait for a person, by reason."),
    Gauge("parked_steps_age_seconds", "How long the oldest of them is open."),
    Gauge("open_tasks", "Tasks that nobody has decided."),
    Gauge("open_tasks_age_seconds", "How long the oldest of them is open."),
    Gauge("open_incidents", "Incidents that are not closed, by system and state."),
    Gauge("open_incidents_age_seconds", "How long the oldest of them is open."),
    Gauge("paused_systems", "1 for each system that an operator has paused."),
    Gauge("paused_systems_age_seconds", "How long it is paused."),
    Gauge("webhook_deliveries", "Deliveries to endpoints that wait, and those that were given up."),
    Gauge("webhook_deliveries_age_seconds", "How long ago the oldest of them was made."),
    Gauge("trigger_silence_seconds", "How long ago something came last from each hook."),
)
"""All that can be read; one without a sample has nothing to say at the moment."""


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Give all numbers in the text format of Prometheus."""
    site = site_of(request)
    _admit(site, request)
    return Response(exposed(await _samples(site)), media_type=_MEDIA_TYPE)


def _admit(site: Site, request: Request) -> None:
    """Admit whoever shows the token; without one, whoever sits at this machine."""
    if site.settings.metrics_token is None:
        local_only(request)
        return
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = site.settings.metrics_token.resolve().reveal()
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted.encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


async def _samples(site: Site) -> list[Sample]:
    began = datetime.now(UTC)
    numbers = await rows.numbers(site.database)
    half = (datetime.now(UTC) - began) / 2
    difference = (numbers["server_time"] - began - half).total_seconds()
    found = [Sample("info", 1, {"version": VERSION})]
    found += _plain(numbers)
    found.append(Sample("clock_difference_seconds", difference))
    for row in await rows.counted(site.database):
        labels = {str(name): str(value) for name, value in row["labels"].items()}
        found.append(Sample(row["what"], row["how_many"], labels))
        if row["age"] is not None:
            found.append(Sample(f"{row['what']}_age_seconds", row["age"], labels))
    now = numbers["server_time"]
    for row in await site.engine.hooks.heard():
        if row["heard_at"] is not None:
            silent = (now - row["heard_at"]).total_seconds()
            found.append(Sample("trigger_silence_seconds", silent, {"source": row["name"]}))
    return found


def _plain(numbers: Row) -> list[Sample]:
    """The numbers without labels; an age that there is none of is left out."""
    read = {
        name.removesuffix("_seconds") if name.endswith("_age_seconds") else name: name
        for name in (each.name for each in GAUGES)
    }
    return [
        Sample(read[name], float(value))
        for name, value in numbers.items()
        if name in read and value is not None
    ]


def exposed(samples: Iterable[Sample]) -> str:
    """Write samples in the text format, gauge by gauge; a name that is no gauge is a KeyError."""
    by_name: dict[str, list[Sample]] = {each.name: [] for each in GAUGES}
    for sample in samples:
        by_name[sample.name].append(sample)
    lines: list[str] = []
    for gauge in GAUGES:
        lines += _block(gauge, by_name[gauge.name])
    return "\n".join(lines) + "\n"


def _block(gauge: Gauge, samples: Sequence[Sample]) -> list[str]:
    if not samples:
        return []
    name = f"newel_{gauge.name}"
    shown = [f"{name}{_labels(each.labels)} {each.value:.10g}" for each in samples]
    return [f"# HELP {name} {gauge.told}", f"# TYPE {name} gauge", *shown]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
