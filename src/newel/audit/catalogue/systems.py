"""Audit events of outside systems: incidents, their tickets, how a connector is set up."""

from __future__ import annotations

from typing import Literal

from newel.audit.catalogue.declared import AuditEvent, audit_event
from newel.audit.catalogue.parts import FailureClass

__all__ = [
    "ConnectorConfigured",
    "ConnectorPaused",
    "ConnectorResumed",
    "IncidentAttached",
    "IncidentClosed",
    "IncidentOpened",
    "IncidentTicketFailed",
    "IncidentTicketed",
]


@audit_event("incident.opened", stream="system")
class IncidentOpened(AuditEvent):
    """One cause holds up a first step."""

    incident: str
    class_: FailureClass
    first_run: str


@audit_event("incident.attached", stream="system")
class IncidentAttached(AuditEvent):
    """Another step is held up by the same cause."""

    incident: str
    run: str
    key: str


@audit_event("incident.closed", stream="system")
class IncidentClosed(AuditEvent):
    """The cause is gone; `runs` counts those it held up, each attached by an event of its own.

    healed_by: what brought the end: the probe, a round of the lead step's own, or a person.
    """

    incident: str
    runs: int
    healed_by: Literal["probe", "schedule", "person"]


@audit_event("incident.ticketed", stream="system")
class IncidentTicketed(AuditEvent):
    """A ticket tells the people; `marker` is what it is found again by."""

    incident: str
    tracker: str
    ticket: str
    channel: Literal["first", "fallback"]
    marker: str


@audit_event("incident.ticket_failed", stream="system")
class IncidentTicketFailed(AuditEvent):
    """A tracker could not take the ticket."""

    incident: str
    tracker: str
    class_: FailureClass


@audit_event("connector.configured", stream="system")
class ConnectorConfigured(AuditEvent):
    """A connector was set up: which settings, and in which kind of place its secrets lie."""

    fields: tuple[str, ...]
    secret_schemes: tuple[str, ...]


@audit_event("connector.paused", stream="system")
class ConnectorPaused(AuditEvent):
    """A system is left alone: its steps wait, without attempts."""


@audit_event("connector.resumed", stream="system")
class ConnectorResumed(AuditEvent):
    """Steps of a paused system go on."""
