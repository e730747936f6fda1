"""Webhooks: endpoints that are told of events and how they fare, and what other systems told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from uuid import UUID

from newel.base.errors import InvalidInput, NotFound
from newel.base.ids import reference
from newel.engine.endpoints import Endpoints
from newel.engine.hooks import Hooks
from newel.flow.hooks import Hook
from newel.people.words import team_name
from newel.store import endpoints as rows
from newel.store.database import Row
from newel.web.console import copy, systems_copy
from newel.web.console.views.model import Chip, View, chip
from newel.web.site import Reader

__all__ = [
    "DeliveriesView",
    "DeliveryState",
    "DeliveryView",
    "EndpointPage",
    "EndpointView",
    "EndpointsView",
    "HooksView",
    "deliveries_view",
    "endpoint_page",
    "endpoints_view",
    "hooks_view",
]

DeliveryState: TypeAlias = Literal["waiting", "accepted", "dead"]
"""Of a delivery; dead: it was given up."""

_HOURS: Final = 24
_DAYS: Final = 7
_HEIGHT: Final = 40
_LEAST: Final = 2
_WIDTH: Final = 10
_GAP: Final = 3
_RECEIVED: Final = 20


class EndpointView(View):
    """An endpoint and how it fares; the path of its address is not shown."""

    name: str
    host: str
    events: tuple[str, ...]
    state: Literal["well", "failing", "gone", "disabled"]
    since: datetime | None
    accepted_at: datetime | None
    waiting: int
    oldest_at: datetime | None
    given_up: int
    owner: str
    team: str
    chip: Chip
    href: str


class EndpointsView(View):
    """The endpoints by name."""

    endpoints: tuple[EndpointView, ...]


class DeliveryView(View):
    """What an endpoint was told of one event, and what it answered last."""

    event: str
    type: str
    run: str | None
    made_at: datetime
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    ended_at: datetime | None
    answer: str | None
    chip: Chip


class DeliveriesView(View):
    """Deliveries, the latest event first. after: asks for those that are older; None for none."""

    deliveries: tuple[DeliveryView, ...]
    after: str | None


class FiguresView(View):
    """How an endpoint has fared with the events of some days.

    at_once: how many were accepted by the first attempt. half_ms, nearly_all_ms: how long half of
    those that were accepted, and 95 % of them, had to wait until they were.
    """

    days: int
    accepted: int
    at_once: int
    at_once_percent: int | None
    given_up: int
    attempts: int
    half_ms: int | None
    nearly_all_ms: int | None


class HourView(View):
    """The events of one hour, and what became of them."""

    at: datetime
    accepted: int
    waiting: int
    given_up: int


class ColumnView(View):
    """One rectangle of the picture of the hours."""

    x: int
    y: float
    height: float
    tone: str


class EndpointPage(View):
    """One endpoint: how it fares, its figures, its hours, and its deliveries."""

    endpoint: EndpointView
    why: str
    figures: FiguresView
    hours: tuple[HourView, ...]
    columns: tuple[ColumnView, ...]
    hours_text: str
    shown: DeliveryState | None
    deliveries: tuple[DeliveryView, ...]
    after: str | None
    as_of: datetime


class ReceivedView(View):
    """One delivery that came in. refused: why not all of it was done."""

    delivery: str
    hook: str
    event: str
    at: datetime
    runs: tuple[str, ...]
    messages: int
    refused: str | None


class HookView(View):
    """A hook of the code, when something came last, and how much of it was not all done.

    silent_after_ms: how long it is never silent; None where that is nothing wrong.
    """

    name: str
    path: str
    owner: str
    heard_at: datetime | None
    refused: int
    silent_after_ms: int | None
    chip: Chip


class HooksView(View):
    """The hooks by name, and what came last. only_refused: what was not all done is shown alone."""

    hooks: tuple[HookView, ...]
    received: tuple[ReceivedView, ...]
    only_refused: bool


def _endpoint(row: Row, owners: Mapping[str, str]) -> EndpointView:
    if row["disabled_at"] is not None:
        state = "gone" if row["disabled_for"] == "gone" else "disabled"
    else:
        state = "well" if row["failing_since"] is None else "failing"
    return EndpointView(
        name=row["name"],
        host=row["url_host"],
        events=tuple(row["events"]),
        state=state,
        since=row["disabled_at"] or row["failing_since"],
        accepted_at=row["accepted_at"],
        waiting=row["waiting"],
        oldest_at=row["oldest"],
        given_up=row["dead"],
        owner=(owner := owners.get(row["name"], "")),
        team=team_name(owner) if owner else "",
        chip=chip(f"endpoint-{state}"),
        href=f"/webhooks/{copy.quoted(row['name'])}",
    )


async def endpoints_view(endpoints: Endpoints) -> EndpointsView:
    """Read the endpoints and how they fare."""
    owners = {name: each.owner for name, each in endpoints.declared.items()}
    return EndpointsView(
        endpoints=tuple(_endpoint(row, owners) for row in await endpoints.listed())
    )


async def deliveries_view(
    endpoints: Endpoints, name: str, *, state: DeliveryState | None, after: str, how_many: int
) -> DeliveriesView:
    """Read what an endpoint was told, the latest event first. Raises NotFound, InvalidInput."""
    found = await endpoints.deliveries(
        name, state=state, after=_place(after), how_many=how_many + 1
    )
    shown = found[:how_many]
    more = len(found) > how_many
    return DeliveriesView(
        deliveries=tuple(_delivery(row) for row in shown),
        after=f"{shown[-1]['made_at'].isoformat()}/{shown[-1]['event_id']}" if more else None,
    )


def _place(after: str) -> tuple[datetime, UUID] | None:
    """Read where a list goes on, as an answer has told it."""
    if not after:
        return None
    moment, _, event = after.partition("/")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(event)
    except (ValueError, OverflowError):
        raise InvalidInput({"after": "must be the `after` of an answer"}) from None


def _delivery(row: Row) -> DeliveryView:
    known = DeliveryView.model_fields.keys() & row.keys()
    return DeliveryView(
        **{each: row[each] for each in known},
        event=str(row["event_id"]),
        run=None if row["run_id"] is None else reference("run", row["run_id"]),
        chip=chip(f"delivery-{row['state']}"),
    )


async def endpoint_page(
    read: Reader, endpoints: Endpoints, name: str, *, state: DeliveryState | None, after: str
) -> EndpointPage:
    """Read one endpoint with its figures and its deliveries. Raises NotFound, InvalidInput."""
    listed = await deliveries_view(endpoints, name, state=state, after=after, how_many=25)
    every = await endpoints_view(endpoints)
    endpoint = next((each for each in every.endpoints if each.name == name), None)
    if endpoint is None:
        raise NotFound(kind="endpoint", reference=name)
    begin = read.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS - 1)
    hours = _hours(begin, await rows.by_hour(read.database, name, begin))
    figures = await rows.figures(read.database, name, read.now - timedelta(days=_DAYS))
    return EndpointPage(
        endpoint=endpoint,
        why=systems_copy.endpoint_text(endpoint.state, endpoint.owner),
        figures=_figures(figures),
        hours=hours,
        columns=tuple(_columns(hours)),
        hours_text=systems_copy.hours_text(
            sum(each.accepted for each in hours),
            sum(each.waiting for each in hours),
            sum(each.given_up for each in hours),
        ),
        shown=state,
        deliveries=listed.deliveries,
        after=listed.after,
        as_of=read.now,
    )


def _figures(row: Row) -> FiguresView:
    accepted = row["accepted"]
    return FiguresView(
        days=_DAYS,
        accepted=accepted,
        at_once=row["at_once"],
        at_once_percent=100 * row["at_once"] // accepted if accepted else None,
        given_up=row["dead"],
        attempts=row["attempts"],
        half_ms=_milliseconds(row["half"]),
        nearly_all_ms=_milliseconds(row["nearly_all"]),
    )


def _milliseconds(length: timedelta | None) -> int | None:
    return None if length is None else round(length.total_seconds() * 1000)


def _hours(begin: datetime, found: Sequence[Row]) -> tuple[HourView, ...]:
    by_hour = {row["hour"]: row for row in found}
    return tuple(
        HourView(
            at=begin + timedelta(hours=hour),
            accepted=row["accepted"] if row else 0,
            waiting=row["waiting"] if row else 0,
            given_up=row["dead"] if row else 0,
        )
        for hour in range(_HOURS)
        for row in (by_hour.get(hour),)
    )


def _columns(hours: Sequence[HourView]) -> list[ColumnView]:
    """Draw the hours: accepted below, what waits upon it, what was given up on top."""
    most = max((each.accepted + each.waiting + each.given_up for each in hours), default=0)
    drawn: list[ColumnView] = []
    for place, each in enumerate(hours):
        top = float(_HEIGHT)
        for count, tone in (
            (each.accepted, "done"), (each.waiting, "retry"), (each.given_up, "park")
        ):  # fmt: skip
            if not count:
                continue
            height = max(round(count / most * _HEIGHT, 1), _LEAST)
            top = max(round(top - height, 1), 0.0)
            drawn.append(ColumnView(x=place * (_WIDTH + _GAP), y=top, height=height, tone=tone))
    return drawn


def _hook(hook: Hook, heard: Row, now: datetime) -> HookView:
    last: datetime | None = heard["heard_at"]
    is_silent = (
        hook.silent_after is not None and last is not None and now - last > hook.silent_after
    )
    state = "silent" if is_silent else "heard" if last else "never"
    return HookView(
        name=hook.name,
        path=f"/hooks/{hook.name}",
        owner=hook.owner,
        heard_at=last,
        refused=heard["refused"],
        silent_after_ms=_milliseconds(hook.silent_after),
        chip=chip(f"hook-{state}"),
    )


async def hooks_view(hooks: Hooks, now: datetime, *, only_refused: bool) -> HooksView:
    """Read which hooks there are, and what came in last."""
    received = await hooks.listed(only_refused=only_refused, how_many=_RECEIVED)
    heard = {row["name"]: row for row in await hooks.heard()}
    return HooksView(
        hooks=tuple(_hook(hook, heard[name], now) for name, hook in sorted(hooks.declared.items())),
        received=tuple(
            ReceivedView(
                delivery=str(row["id"]),
                hook=row["source"],
                event=row["event_id"],
                at=row["received_at"],
                runs=tuple(reference("run", run) for run in row["runs"]),
                messages=row["messages"],
                refused=row["refused"],
            )
            for row in received
        ),
        only_refused=only_refused,
    )
