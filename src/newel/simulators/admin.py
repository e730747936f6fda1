"""The control of one simulator, under `/_sim/` on its own port and never part of a vendor's paths.

JSON in, JSON out. Where the simulator is bound to a port a token is needed: in the header
`X-Sim-Token`, or once as `?token=` for the page, which then keeps it in a cookie of its own. Faults
never touch these paths: what is down can always be healed.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .clock import moment_from
from .faults import fault_from
from .page import SECURITY, fragment, page
from .system import SimulatedSystem
from .wire import Document

TOKEN_HEADER = "x-sim-token"
PAGE_HEADER = "x-sim-page"


def admin_application(system: SimulatedSystem, *, token: Callable[[], str | None]) -> ASGIApp:
    """Give the ASGI application that controls this system; `token` is asked at every request."""
    control = Control(system)
    routes = [
        Route("/_sim", control.home),
        Route("/_sim/", control.home),
        Route("/_sim/fragment", control.shown),
        Route("/_sim/health", control.health),
        Route("/_sim/summary", control.summary),
        Route("/_sim/calls", control.calls),
        Route("/_sim/accounts", control.accounts),
        Route("/_sim/history/{key:path}", control.history),
        Route("/_sim/faults", control.faults),
        Route("/_sim/faults", control.add_fault, methods=["POST"]),
        Route("/_sim/faults", control.script, methods=["PUT"]),
        Route("/_sim/faults", control.heal, methods=["DELETE"]),
        Route("/_sim/faults/{identity}", control.fault),
        Route("/_sim/faults/{identity}", control.put_fault, methods=["PUT"]),
        Route("/_sim/faults/{identity}", control.drop_fault, methods=["DELETE"]),
        Route("/_sim/act/{action}", control.act, methods=["POST"]),
        Route("/_sim/state", control.state),
        Route("/_sim/state", control.load, methods=["POST"]),
        Route("/_sim/reset", control.reset, methods=["POST"]),
        Route("/_sim/clock", control.clock),
        Route("/_sim/clock", control.set_clock, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Gatekeeper, system=system, token=token)],
        exception_handlers={HTTPException: _told, ValueError: _told},
    )


class Gatekeeper:
    """Lets nobody near the control without the token, where there is one."""

    def __init__(
        self, app: ASGIApp, *, system: SimulatedSystem, token: Callable[[], str | None]
    ) -> None:
        self._app = app
        self._cookie = f"sim_{system.system}"
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 401."""
        request = Request(scope, receive)
        token = self._token()
        if (
            token is None
            or request.url.path == "/_sim/health"
            or _same(request.headers.get(TOKEN_HEADER), token)
            or self._from_page(request, token)
        ):
            await self._app(scope, receive, send)
        elif _same(request.query_params.get("token"), token) and request.url.path in _HOME:
            answer = RedirectResponse("/_sim/", status_code=303)
            answer.set_cookie(self._cookie, token, httponly=True, samesite="strict", path="/_sim")
            await answer(scope, receive, send)
        else:
            text = "The simulator's token is missing or wrong; send it as X-Sim-Token."
            await JSONResponse({"message": text}, status_code=401)(scope, receive, send)

    def _from_page(self, request: Request, token: str) -> bool:
        """Accept the page's cookie; changes also need a header that no foreign page can send."""
        reading = request.method == "GET" or PAGE_HEADER in request.headers
        return reading and _same(request.cookies.get(self._cookie), token)


_HOME = ("/_sim", "/_sim/")


def _same(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), token.encode())


async def _told(request: Request, wrong: Exception) -> Response:
    """Say what was wrong with a request to the control."""
    del request
    if isinstance(wrong, HTTPException):
        return JSONResponse({"message": wrong.detail}, status_code=wrong.status_code)
    return JSONResponse({"message": str(wrong)}, status_code=400)


class Control:
    """What the admin API does, one method a route."""

    def __init__(self, system: SimulatedSystem) -> None:
        self._system = system

    async def home(self, request: Request) -> Response:
        """Show the page."""
        del request
        self._let_time_work()
        return HTMLResponse(page(self._system), headers=SECURITY)

    async def shown(self, request: Request) -> Response:
        """Give the changing parts of the page."""
        del request
        self._let_time_work()
        return HTMLResponse(fragment(self._system), headers=SECURITY)

    def _let_time_work(self) -> None:
        """Let expire what has expired, as the next request to the vendor would."""
        with self._system.store.transaction(0):
            self._system.tick()

    async def health(self, request: Request) -> Response:
        """Say that the simulator lives; needs no token."""
        del request
        return JSONResponse({"ok": True, "system": self._system.system})

    async def summary(self, request: Request) -> Response:
        """Count calls, accounts and doubled effects."""
        del request
        book = self._system.book
        return JSONResponse(
            {
                "system": self._system.system,
                "calls": book.counts(),
                "committed": len(book.calls(committed=True)),
                "doubled": book.doubled(),
                "accounts": len(self._system.accounts()),
                "now": self._system.clock.now().isoformat(),
            }
        )

    async def calls(self, request: Request) -> Response:
        """List calls; ?operation= (pattern), ?mutating=true|false, ?committed=, ?since=number."""
        query = request.query_params
        listed = self._system.calls(
            query.get("operation", "*"),
            mutating=_statement(query.get("mutating")),
            committed=_statement(query.get("committed")),
            since=int(query.get("since", "0")),
        )
        return JSONResponse({"calls": [asdict(call) for call in listed]})

    async def accounts(self, request: Request) -> Response:
        """List the accounts of the system."""
        del request
        return JSONResponse({"accounts": self._system.accounts()})

    async def history(self, request: Request) -> Response:
        """List the changes of the documents stored under a key."""
        changes = self._system.history(request.path_params["key"])
        return JSONResponse({"changes": [asdict(change) for change in changes]})

    async def faults(self, request: Request) -> Response:
        """List the rules in force."""
        del request
        return JSONResponse({"faults": self._system.faults.snapshot()})

    async def add_fault(self, request: Request) -> Response:
        """Put a rule into force under a fresh id, or under the id it carries."""
        document = await _object(request)
        identity = document.pop("id", None) or self._system.faults.fresh_id()
        return self._put(identity, document, status=201)

    async def put_fault(self, request: Request) -> Response:
        """Put a rule into force under this id."""
        document = await _object(request)
        document.pop("id", None)
        return self._put(request.path_params["identity"], document, status=200)

    async def script(self, request: Request) -> Response:
        """Replace all rules by a script: what GET gives; an id may be left out, counts begin anew.

        Nothing is changed if one of the rules cannot be read.
        """
        given = (await _object(request)).get("faults")
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise HTTPException(400, 'a script is {"faults": [rule, …]}')
        rules = [
            fault_from(str(rule.get("id") or f"rule-{number}"), {**rule, "seen": 0, "hits": 0})
            for number, rule in enumerate(given, start=1)
        ]
        self._system.faults.clear()
        for rule in rules:
            self._system.faults.add(rule)
        self._system.save()
        return JSONResponse({"faults": self._system.faults.snapshot()})

    def _put(self, identity: str, document: Document, *, status: int) -> Response:
        fault = self._system.faults.add(fault_from(identity, document))
        self._system.save()
        return JSONResponse(fault.document(), status_code=status)

    async def fault(self, request: Request) -> Response:
        """Give one rule."""
        identity = request.path_params["identity"]
        for rule in self._system.faults.rules():
            if rule.id == identity:
                return JSONResponse(rule.document())
        raise HTTPException(404, f"no fault {identity!r} is in force")

    async def drop_fault(self, request: Request) -> Response:
        """Take one rule out of force; it is no error if it was not."""
        self._system.faults.remove(request.path_params["identity"])
        self._system.save()
        return Response(status_code=204)

    async def heal(self, request: Request) -> Response:
        """Take all rules out of force."""
        del request
        self._system.heal()
        self._system.save()
        return Response(status_code=204)

    async def act(self, request: Request) -> Response:
        """Let a person in the simulated world do something; the body holds the arguments."""
        name = request.path_params["action"]
        actions = self._system.actions()
        if name not in actions:
            raise HTTPException(404, f"nobody can {name!r} here; known: {', '.join(actions)}")
        arguments = await _object(request)
        try:
            inspect.signature(actions[name]).bind(**arguments)
        except TypeError as wrong:
            raise HTTPException(400, f"{name}: {wrong}") from wrong
        with self._system.store.transaction(0):
            done = actions[name](**arguments)
        self._system.save()
        return JSONResponse({"done": done})

    async def state(self, request: Request) -> Response:
        """Give the whole state, as `load` takes it back."""
        del request
        return JSONResponse(self._system.snapshot())

    async def load(self, request: Request) -> Response:
        """Replace the whole state by a snapshot."""
        document = await _object(request)
        try:
            self._system.load(document)
        except KeyError as missing:
            raise HTTPException(400, f"the snapshot lacks {missing}") from missing
        self._system.save()
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """Go back to the newly made system."""
        del request
        self._system.reset()
        return Response(status_code=204)

    async def clock(self, request: Request) -> Response:
        """Read the simulated clock."""
        del request
        return JSONResponse(self._system.clock.reading())

    async def set_clock(self, request: Request) -> Response:
        """Move the clock: {"now": ISO}, {"advance_s": n}, {"offset_s": n}, {"standing": bool}."""
        _move(self._system, await _object(request))
        return JSONResponse(self._system.clock.reading())


def _move(system: SimulatedSystem, wanted: Document) -> None:
    """Move the clock in the order of the documentation above."""
    unknown = set(wanted) - {"now", "advance_s", "offset_s", "standing"}
    if unknown or not wanted:
        raise HTTPException(400, "give now, advance_s, offset_s or standing")
    clock = system.clock
    if "now" in wanted:
        clock.set(moment_from(str(wanted["now"])))
    if "advance_s" in wanted:
        clock.advance(timedelta(seconds=float(wanted["advance_s"])))
    if "offset_s" in wanted:
        clock.offset(timedelta(seconds=float(wanted["offset_s"])))
    if "standing" in wanted:
        (clock.stand if wanted["standing"] else clock.run)()


async def _object(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object; an empty body is an empty object."""
    body = await request.body()
    if not body:
        return {}
    try:
        document = await request.json()
    except ValueError as wrong:
        raise HTTPException(400, f"the body is not JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return document


def _statement(text: str | None) -> bool | None:
    if text is None:
        return None
    return text.lower() in ("1", "true", "yes")
