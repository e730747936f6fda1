"""Events from outside over HTTP: sending one, and what became of those that were sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.engine.messages import State
from newel.web.auth import KnownCaller, acting
from newel.web.console.views.model import View
from newel.web.documents import optional_text, read_members, text_of
from newel.web.site import named, reader_of, site_of

__all__ = ["EventsView", "SentView", "router"]

router = APIRouter(tags=["events"])

_BODY: Final[dict[str, Any]] = {  # Any: OpenAPI
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["payload"],
                    "properties": {
                        "payload": {"description": "JSON of the event's type."},
                        "match": {"type": "string", "description": "The correlation text."},
                        "to": {"type": "string", "description": "Or the one run it is for."},
                        "event_id": {"type": "string", "description": "Sent twice, it is once."},
                        "source": {"type": "string", "description": "Whose event ids these are."},
                        "actor": {"type": "string"},
                    },
                }
            }
        },
    }
}


class SentView(View):
    """What became of a message: delivered to a wait, kept for one, or lost."""

    delivered: bool
    fate: Literal["delivered", "kept", "lost"]
    is_new: bool
    run: str | None


class MessageView(View):
    """One message as it lies."""

    event: str
    source: str
    event_id: str
    match: str | None
    to: str | None
    fate: Literal["delivered", "kept", "lost"]
    run: str | None
    received_at: datetime
    taken_at: datetime | None


class EventsView(View):
    """Messages, the latest first."""

    messages: tuple[MessageView, ...]


@router.post("/events/{name}", openapi_extra=_BODY)
async def send(request: Request, name: str, caller: KnownCaller) -> SentView:
    """Send an event; its payload is validated before anything is kept."""
    members = await read_members(request, "payload", "match", "to", "event_id", "source", "actor")
    if "payload" not in members:
        raise InvalidInput({"payload": "is missing"})
    to = optional_text(members, "to")
    sent = await site_of(request).engine.send_document(
        name,
        members["payload"],
        actor=await acting(request, caller, members),
        match=optional_text(members, "match"),
        to=None if to is None else named("run", to),
        event_id=optional_text(members, "event_id"),
        source=text_of(members, "source", otherwise="api"),
    )
    return SentView(
        delivered=sent.is_delivered,
        fate=sent.fate,
        is_new=sent.is_new,
        run=None if sent.run is None else reference("run", sent.run),
    )


@router.get("/events")
async def list_events(
    request: Request,
    caller: KnownCaller,
    state: State = "kept",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> EventsView:
    """List messages that nobody has waited for yet, or those that were lost or taken."""
    del caller
    await reader_of(request)
    rows = await site_of(request).engine.messages.listed(state, limit)
    return EventsView(
        messages=tuple(
            MessageView(
                event=row["name"],
                source=row["source"],
                event_id=row["event_id"],
                match=row["match"],
                to=None if row["to_run"] is None else reference("run", row["to_run"]),
                fate="lost"
                if row["is_lost"]
                else "kept"
                if row["taken_by"] is None
                else "delivered",
                run=None if row["taken_by"] is None else reference("run", row["taken_by"]),
                received_at=row["received_at"],
                taken_at=row["taken_at"],
            )
            for row in rows
        )
    )
