"""Faithful stand-ins of vendors: stateful, deterministic, checking what the vendors check.

They import nothing of newel, so that no shared mistake can make connector and stand-in agree. Each
is an ASGI application (`simulator.app`); `serve` runs several on loopback; `World` makes those of
one demo company with one seed and one clock. A stand-in of one's own subclasses `Simulator`.
Source: connectors document, Part C.
"""

from __future__ import annotations

from .asana import AsanaSimulator
from .bamboohr import BambooHRSimulator
from .book import Call, CallBook
from .clock import SimulatedClock
from .core import Simulator, Spoken
from .exchange import ConnectionCut
from .faults import (
    AddField,
    ClockSkew,
    Deprecate,
    Down,
    DropField,
    Effect,
    ExpireToken,
    Fault,
    Gone,
    Hang,
    HtmlPage,
    Lag,
    Latency,
    Licences,
    LoseResponse,
    Match,
    NotReady,
    Quota,
    Redirect,
    RemoveScope,
    RenameField,
    ResetBefore,
    RetypeField,
    RevokeToken,
    Seats,
    Status,
    Throttle,
    Truncate,
    VendorError,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookReorder,
)
from .github import GitHubSimulator
from .google import GoogleSimulator
from .gusto import GustoSimulator
from .inbox import InboxSimulator
from .jira import JiraSimulator
from .linear import LinearSimulator
from .mail import MailSimulator
from .salesforce import SalesforceSimulator
from .scim import ScimSimulator
from .server import NotLoopback, serve
from .slack import SlackSimulator
from .system import Capacity, Panel, RowAct, action
from .wire import Answer, Asked, Credential, Document, Refused, Route, route
from .world import SYSTEMS, World
from .zendesk import ZendeskSimulator

__all__ = [
    "SYSTEMS",
    "AddField",
    "Answer",
    "AsanaSimulator",
    "Asked",
    "BambooHRSimulator",
    "Call",
    "CallBook",
    "Capacity",
    "ClockSkew",
    "ConnectionCut",
    "Credential",
    "Deprecate",
    "Document",
    "Down",
    "DropField",
    "Effect",
    "ExpireToken",
    "Fault",
    "GitHubSimulator",
    "Gone",
    "GoogleSimulator",
    "GustoSimulator",
    "Hang",
    "HtmlPage",
    "InboxSimulator",
    "JiraSimulator",
    "Lag",
    "Latency",
    "Licences",
    "LinearSimulator",
    "LoseResponse",
    "MailSimulator",
    "Match",
    "NotLoopback",
    "NotReady",
    "Panel",
    "Quota",
    "Redirect",
    "Refused",
    "RemoveScope",
    "RenameField",
    "ResetBefore",
    "RetypeField",
    "RevokeToken",
    "Route",
    "RowAct",
    "SalesforceSimulator",
    "ScimSimulator",
    "Seats",
    "SimulatedClock",
    "Simulator",
    "SlackSimulator",
    "Spoken",
    "Status",
    "Throttle",
    "Truncate",
    "VendorError",
    "WebhookDelay",
    "WebhookDrop",
    "WebhookDuplicate",
    "WebhookReorder",
    "World",
    "ZendeskSimulator",
    "action",
    "route",
    "serve",
]
