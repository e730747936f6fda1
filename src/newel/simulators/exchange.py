"""One request on its way through a simulated system; a fault can strike at each stage.

    arrive -> route -> delay -> strike before commit -> credential -> scopes -> handler (commit)
           -> vendor's headers -> strike after commit -> enter into the book -> answer or cut

ASGI has no word for "the connection was cut": a real server hands the connection over in the scope
(see `server`); in process `ConnectionCut` is raised, which an in-process transport translates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import format_datetime
from html import escape
from typing import Protocol, cast
from urllib.parse import parse_qsl, quote

from starlette.types import Receive, Scope, Send

from .alter import bent
from .book import Call
from .faults import (
    AddField,
    Deprecate,
    Down,
    DropField,
    ExpireToken,
    Fault,
    Gone,
    Hang,
    HtmlPage,
    LoseResponse,
    Redirect,
    RenameField,
    ResetBefore,
    RetypeField,
    Status,
    Throttle,
    Truncate,
    VendorError,
)
from .system import SimulatedSystem
from .wire import ANONYMOUS, Answer, Asked, Refused, Route, Unreadable

LARGEST_BODY = 1024 * 1024
HTML = "text/html; charset=utf-8"
CONNECTION = "newel.connection"


class Connection(Protocol):
    """The client's connection, as a real server hands it over in the scope's extensions."""

    def reset(self) -> None:
        """End it with a TCP reset."""

    def close(self) -> None:
        """End it after what has been written has left."""


class ConnectionCut(Exception):
    """In process only: the connection ended instead of an answer.

    how: "refused" (nothing was read), "cut" (read; perhaps committed), "truncated" (part of the
    answer had left), "hung" (no answer will ever come).
    """

    def __init__(self, how: str) -> None:
        super().__init__(f"the simulated connection was {how}")
        self.how = how


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, system: SimulatedSystem, scope: Scope, receive: Receive, send: Send) -> None:
        self._system = system
        self._scope = scope
        self._receive = receive
        self._send = send

    async def run(self) -> None:
        """Answer the request, or cut the connection, as state and faults have it."""
        system = self._system
        sequence = system.book.next_sequence()
        asked = await _asked(self._scope, self._receive)
        route = _routed(system, asked)
        operation = route.operation if route else "unknown"
        label = _label(system, asked)
        now = system.clock.now()
        # A system that is down is down at once; the delay is for those who get an answer.
        fault = system.faults.struck(asked, operation, label, now)
        if not (fault and isinstance(fault.effect, Down)):
            await self._late(asked, operation, label)
        answer, committed = self._answered(asked, route, fault, sequence)
        cut = fault is not None and isinstance(
            fault.effect, Down | ResetBefore | Hang | LoseResponse
        )
        system.book.add(
            Call(
                sequence=sequence,
                time=system.clock.now().isoformat(),
                operation=operation,
                method=asked.method,
                path=asked.path,
                credential=label,
                status=None if cut else answer.status,
                mutating=route is not None and route.mutating,
                committed=bool(committed),
                did=committed or "nothing",
                natural_key=asked.natural_key,
                effect_key=asked.marker,
                fault=fault.id if fault else "",
            )
        )
        if committed:
            system.save()
        await self._leave(answer, fault)

    async def _late(self, asked: Asked, operation: str, label: str) -> None:
        delay = self._system.faults.delay(asked, operation, label, self._system.clock.now())
        if delay:
            await self._system.sleep(delay)

    def _answered(
        self, asked: Asked, route: Route | None, fault: Fault | None, sequence: int
    ) -> tuple[Answer, str]:
        """Give the answer, and what was committed: created, changed, removed or "" for nothing."""
        system = self._system
        scripted = self._scripted(asked, fault)
        if scripted is not None:
            return system.finished(asked, scripted, sequence=sequence), ""
        with system.store.transaction(0):
            system.tick()
        try:
            with system.store.transaction(sequence):
                answer = self._handled(asked, route)
        except Refused as refused:
            answer = refused.answer
        except Unreadable as unreadable:
            answer = system.unreadable(asked, str(unreadable))
        answer = system.finished(asked, answer, sequence=sequence)
        if fault and isinstance(fault.effect, DropField | RetypeField | AddField | RenameField):
            answer = bent(answer, fault.effect)
        if fault and isinstance(fault.effect, Deprecate):
            answer = answer.with_headers(_announcing(fault.effect))
        changes = system.store.changes_of(sequence)
        return answer, changes[0].kind if changes else ""

    def _scripted(self, asked: Asked, fault: Fault | None) -> Answer | None:
        """Give the answer of a strike before the commit, if that is what struck."""
        match fault.effect if fault else None:
            case Down() | ResetBefore() | Hang():
                return Answer(0)
            case Status(status, body, headers):
                kind = HTML if isinstance(body, str) else "application/json"
                return Answer(status, body, headers, kind)
            case HtmlPage(status, text):
                return Answer(status, f"<!doctype html><title>{escape(text)}</title>", {}, HTML)
            case Redirect(location, status):
                return Answer(status, None, {"Location": location})
            case Gone():
                return self._system.error("410", asked=asked)
            case VendorError(code):
                return self._system.error(code, asked=asked)
            case Throttle() as effect:
                return self._system.throttled(effect, asked=asked)
            case ExpireToken():
                return self._system.expired(asked)
            case _:
                return None

    def _handled(self, asked: Asked, route: Route | None) -> Answer:
        system = self._system
        if route is None:
            allowed = sorted(
                {
                    method
                    for each in system.routes
                    if each.matched(asked.path) is not None
                    for method in each.methods
                }
            )
            if allowed:
                return system.wrong_method(asked, allowed)
            return system.unknown_route(asked)
        if not route.open:
            asked.credential = system.authenticated(asked)
            if (refusal := system.over_quota(asked, route)) is not None:
                return refusal
            if missing := route.missing(asked.credential.scopes):
                return system.scope_refusal(asked, route, missing)
        return route.handler(system, asked)

    async def _leave(self, answer: Answer, fault: Fault | None) -> None:
        match fault.effect if fault else None:
            case Down():
                await self._cut("refused")
            case ResetBefore() | LoseResponse():
                await self._cut("cut")
            case Hang():
                await self._hang()
            case Truncate():
                await self._truncate(answer)
            case _:
                await self._answer(answer)

    async def _answer(self, answer: Answer) -> None:
        body = answer.encoded()
        await self._start(answer, body)
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, answer: Answer, body: bytes) -> None:
        headers = {"date": format_datetime(self._system.now(), usegmt=True)}
        if body:
            headers["content-type"] = answer.media_type
        if answer.status != 204:
            headers["content-length"] = str(len(body))
        headers |= {name.lower(): value for name, value in answer.headers.items()}
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
            }
        )

    def _connection(self) -> Connection | None:
        return cast("Connection | None", self._scope.get("extensions", {}).get(CONNECTION))

    async def _cut(self, how: str) -> None:
        connection = self._connection()
        if connection is None:
            raise ConnectionCut(how)
        if how == "refused":
            connection.reset()
        else:
            connection.close()
        await self._until_gone()

    async def _hang(self) -> None:
        if self._connection() is None:
            raise ConnectionCut("hung")
        await self._until_gone()

    async def _truncate(self, answer: Answer) -> None:
        body = answer.encoded()
        await self._start(answer, body)
        await self._send(
            {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        )
        await self._cut("truncated")

    async def _until_gone(self) -> None:
        """Wait until the server has seen that the connection is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _announcing(said: Deprecate) -> dict[str, str]:
    """Write an announcement as headers. Source: RFC 9745, RFC 8594, RFC 7234 §5.5."""
    return {
        "Deprecation": said.since,
        "Sunset": said.ends,
        "Warning": f'299 - "{said.warning}"',
    }


def _routed(system: SimulatedSystem, asked: Asked) -> Route | None:
    for route in system.routes:
        if asked.method in route.methods:
            params = route.matched(asked.path)
            if params is not None:
                asked.params = params
                return route
    return None


def _label(system: SimulatedSystem, asked: Asked) -> str:
    """Name the credential for rules and book, also where it will be refused."""
    try:
        return system.authenticated(asked).label
    except (Refused, Unreadable):
        return ANONYMOUS.label


async def _asked(scope: Scope, receive: Receive) -> Asked:
    headers: Mapping[str, str] = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    body = bytearray()
    more = True
    while more:
        message = await receive()
        # A client that left in the middle of its request sent what it sent.
        body += message.get("body", b"")
        more = message.get("more_body", False) and len(body) <= LARGEST_BODY
    raw: bytes | None = scope.get("raw_path")
    path = raw.partition(b"?")[0].decode("ascii") if raw else quote(scope["path"])
    return Asked(
        method=scope["method"],
        path=path,
        base_url=f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}",
        headers=headers,
        query=_joined(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        body=bytes(body),
    )


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give one value a name; a list may be sent as one text or as many, and is the same list."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
