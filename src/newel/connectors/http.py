"""The only place that builds an HTTP client, and the one way a request leaves.

    gate -> credential -> request -> answer -> record -> failure class

What leaves is decided here once for all systems: no redirect is followed (it could carry the
credential elsewhere), nothing is taken from the environment, cookies are dropped, nothing is
repeated but a request refused for a stale token, only https leaves the machine, and only to the
hosts that the connector names. What is recorded of a request is its template and its status.
Source: connectors document, §3.1, §5, §9.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol
from urllib.parse import urlencode

import httpx2
import orjson

from newel.base.clock import Clock
from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    DefinitionError,
    LeaseLost,
    NoCapacity,
    StepError,
    Throttled,
    Transient,
)
from newel.connectors.addresses import Addresses
from newel.connectors.announced import Announcement, announced
from newel.connectors.answers import LONGEST_WAIT, Answer, Route, retry_after, unanswered
from newel.connectors.gate import Gate, Lane, LimitHeaders
from newel.connectors.looking import WouldChange, is_looking
from newel.connectors.trust import public_authorities
from newel.domain.values import Call
from newel.flow.context import ATTEMPT

__all__ = ["Credential", "Http", "Service", "Timeouts"]

LARGEST_BODY: Final = 10 * 1024 * 1024
REQUESTS: Final = "api requests"
STOPS_AT: Final = 0.9
_BELIEVED: Final = timedelta(minutes=15)
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_LONGEST: Final = timedelta(seconds=60)

# The client writes every address it calls into its own log, and addresses hold names of people.
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("httpcore2").setLevel(logging.WARNING)

try:
    _VERSION = version("newel")
except PackageNotFoundError:  # read where it lies, without being installed
    _VERSION = "0"


class Credential(Protocol):
    """Whoever puts the credential into a request."""

    async def headers(self, http: Http) -> Mapping[str, str]:
        """Give the headers that prove who asks; may call the token endpoint through `http`."""
        ...

    def renew(self) -> bool:
        """Forget what was refused; True if asking again can bring something else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a system may take, a minute at most.

    connect: for a connection. answer: for each piece of an answer; an attempt as a whole has the
    time of its operation. Raises DefinitionError for another length of time.
    """

    connect: timedelta = timedelta(seconds=5)
    answer: timedelta = timedelta(seconds=20)

    def __post_init__(self) -> None:
        """Refuse what nobody would wait for, and what nobody could answer in."""
        if not all(timedelta(0) < each <= _LONGEST for each in (self.connect, self.answer)):
            raise DefinitionError(
                "A system is waited for longer than not at all, and for a minute at most.",
                fix="`Timeouts(connect=seconds(5), answer=seconds(20))`.",
            )

    def extension(self) -> dict[str, float | None]:
        """Give them as a request carries them."""
        connect = self.connect.total_seconds()
        total = self.answer.total_seconds()
        return httpx2.Timeout(total, connect=connect, pool=connect).as_dict()


@dataclass(frozen=True, kw_only=True)
class Service:
    """How one vendor is spoken to: addresses, fixed headers, and how its answers are read.

    addresses: base URLs by name; "" is the main one. judged: the pure classification.
    limits: what an answer says about the rate limit. request_id: header names, first wins.
    is_shadow: nothing that could change the system is sent, whoever asks for it.
    """

    name: str
    addresses: Mapping[str, str]
    judged: Callable[[Answer], StepError | None]
    headers: Mapping[str, str] = field(default_factory=dict)
    limits: Callable[[Answer], LimitHeaders | None] = lambda _: None
    request_id: tuple[str, ...] = ()
    proxy: str | None = None
    is_shadow: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)


class Http:
    """The way to one system: one client per event loop, behind the credential's gate."""

    def __init__(
        self,
        service: Service,
        credential: Credential,
        gate: Gate,
        clock: Clock,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.service = service
        self.clock = clock
        self.gate = gate
        self._credential = credential
        self._transport = transport
        self.addresses = Addresses(service.name, service.addresses)
        self._fixed = {"User-Agent": f"newel/{_VERSION}", "Accept": "application/json"}
        self._fixed |= service.headers
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._token_lock = asyncio.Lock()
        self._timeouts = service.timeouts.extension()
        self._used: tuple[float, datetime] | None = None
        self.announced: dict[str, Announcement] = {}
        """What was announced last of each operation, by its name."""

    def now(self) -> datetime:
        """Give the present moment of the connector's clock."""
        return self.clock.now()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that requests may go to, sorted; with the port, where one was named."""
        return self.addresses.hosts

    async def call(
        self,
        route: Route,
        path: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Collection[int | str] = (),
        url: str | None = None,
        bucket: str = "",
        is_signed: bool = True,
    ) -> Answer:
        """Send one request; give its answer if it is a success or expected, else raise its class.

        path: values of the template. body: a JSON document. expect: statuses and vendor codes
        that the caller understands itself. url: a whole address instead, as pagination gives.
        bucket: instead of the route's. is_signed: whether the credential goes with it.
        """
        if route.is_mutating and (self.service.is_shadow or is_looking()):
            raise WouldChange(route.operation)
        attempting = ATTEMPT.get()
        if route.is_mutating and attempting is not None and attempting.guard is not None:
            await attempting.guard()
        content, content_type = _content(body, form)
        if bucket := bucket or route.bucket:
            is_urgent = attempting is not None and attempting.is_urgent
            lane: Lane = "urgent" if is_urgent else "standard"
            if not is_urgent:
                self._spare(route)
            if route.pace and route.pace != bucket:
                await self.gate.admit(route.pace, lane=lane)
            await self.gate.admit(bucket, lane=lane)
        self._open_client()
        is_repeated = False
        while True:
            sent = dict(self._fixed)
            if content_type:
                sent["Content-Type"] = content_type
            if headers:
                sent |= headers
            if is_signed:
                async with self._token_lock:
                    sent |= await self._credential.headers(self)
            # After the credential: the token endpoint may have named another address.
            target = self.addresses.of(route, path, query, url)
            try:
                answer = await self._exchange(route, target, sent, content)
            except StepError as lost:
                await self.gate.report(lost)
                raise
            verdict = self.service.judged(answer)
            if isinstance(verdict, AuthFailed) and is_signed and not is_repeated:
                is_repeated = True
                if await self._has_another(sent):
                    continue
            if verdict is not None and not (is_signed and isinstance(verdict, AuthFailed)):
                verdict = self._unexpected(verdict, expect)
            await self._ended(bucket, answer, verdict)
            return answer

    def _spare(self, route: Route) -> None:
        """Leave the end of an allowance for the day to what cuts access.

        What was read of it is believed for a while; then one request asks anew.
        """
        if self._used is None:
            return
        used, seen_at = self._used
        if used >= STOPS_AT and self.clock.now() - seen_at < _BELIEVED:
            raise NoCapacity(
                f"{used:.0%} of what the system allows for a day is used; the rest is kept for "
                "what cuts access. Nothing was sent.",
                what=REQUESTS,
                operation=route.operation,
            )

    async def _has_another(self, sent: Mapping[str, str]) -> bool:
        """Whether there is, or can be, another credential than the one that was refused."""
        async with self._token_lock:
            current = await self._credential.headers(self)
            if any(sent.get(name) != value for name, value in current.items()):
                return True  # another request has renewed it meanwhile
            return self._credential.renew()

    async def aclose(self) -> None:
        """Close the client of this event loop."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    def _unexpected(self, verdict: StepError, expect: Collection[int | str]) -> StepError | None:
        if isinstance(verdict, Throttled):
            return verdict
        return None if verdict.status in expect or verdict.code in expect else verdict

    async def _ended(self, bucket: str, answer: Answer, verdict: StepError | None) -> None:
        """Tell the gate what was seen, and raise what is wrong."""
        if (said := announced(answer)) is not None:
            self.announced[said.operation] = said
        seen = self.service.limits(answer)
        if seen is not None and seen.used is not None:
            self._used = seen.used, self.clock.now()
        if seen is not None and bucket:
            await self.gate.observe(bucket, seen)
        if verdict is not None:
            verdict.request_id = self._request_id(answer)
            if isinstance(verdict, Throttled):
                await self._throttled(bucket, verdict)
            elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._put_off(answer, verdict)
        await self.gate.report(verdict)
        if verdict is not None:
            raise verdict

    def _put_off(self, answer: Answer, verdict: StepError) -> None:
        """Note when a system that is at fault wants to be asked again, if it says so."""
        wait, now = retry_after(answer), self.clock.now()
        until = wait.get("retry_at") or now + wait.get("retry_after", timedelta(0))
        if until > now:
            verdict.retry_at = min(until, now + LONGEST_WAIT)

    async def _throttled(self, bucket: str, verdict: Throttled) -> None:
        now = self.clock.now()
        if verdict.retry_at is None and verdict.retry_after is not None:
            verdict.retry_at = now + verdict.retry_after
        if verdict.retry_at is not None:
            verdict.retry_at = min(max(verdict.retry_at, now), now + LONGEST_WAIT)
            verdict.retry_after = verdict.retry_at - now
        verdict.bucket = verdict.bucket or bucket or None
        if verdict.bucket is not None:
            until = verdict.retry_at or now + timedelta(seconds=30)
            await self.gate.block(verdict.bucket, until)

    async def _exchange(
        self, route: Route, target: str, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        """Send and read, and record the call however it ends, also when it is cut off."""
        began = self.clock.monotonic()
        answer: Answer | None = None
        extensions: dict[str, object] = {"timeout": self._timeouts}
        if route.is_mutating:
            extensions["trace"] = _ask_before_sending
        request = httpx2.Request(
            route.method,
            target,
            headers=headers,
            content=content,
            extensions=extensions,
        )
        try:
            answer = await self._answered(route, request)
            return answer
        except _NEVER_SENT as fault:
            raise Transient(
                f"No connection to the system ({type(fault).__name__}); nothing was sent",
                operation=route.operation,
            ) from fault
        except httpx2.HTTPError as fault:
            raise unanswered(route, f"The answer was lost ({type(fault).__name__})") from fault
        finally:
            self._record(route, request.url.host, answer, began)

    async def _answered(self, route: Route, request: httpx2.Request) -> Answer:
        response = await self._open_client().send(request, stream=True, auth=None)
        try:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise ContractDrift(
                        "The answer is larger than any that is agreed",
                        expected=f"at most {LARGEST_BODY} bytes",
                        seen="more",
                        operation=route.operation,
                    )
        finally:
            await response.aclose()
        return Answer(route, response.status_code, response.headers, bytes(body))

    def _record(self, route: Route, host: str, answer: Answer | None, began: float) -> None:
        attempting = ATTEMPT.get()
        if attempting is None:
            return
        attempting.observed.calls.append(
            Call(
                method=route.method,
                host=host,
                path=route.path,
                operation=route.operation,
                status=None if answer is None else answer.status,
                request_id=None if answer is None else self._request_id(answer),
                duration_us=int((self.clock.monotonic() - began) * 1_000_000),
                is_mutating=route.is_mutating,
            )
        )

    def _request_id(self, answer: Answer) -> str | None:
        for name in self.service.request_id:
            if (found := answer.headers.get(name)) is not None:
                return str(found)[:100]
        return None

    def _open_client(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # A client belongs to the loop that made its connections; an old loop's is dead.
            self._client = httpx2.AsyncClient(
                transport=self._transport,
                verify=public_authorities(),
                follow_redirects=False,
                trust_env=False,
                proxy=self.service.proxy,
                limits=httpx2.Limits(max_connections=50, keepalive_expiry=30.0),
            )
            self._loop = loop
            self._token_lock = asyncio.Lock()
        return self._client


async def _ask_before_sending(what: str, _: object) -> None:
    """Raise LeaseLost in the last moment before a request leaves, when its worker may not send it.

    Connecting takes time, and a process may be stopped in it for longer than its lease: another
    worker may be making this very call.
    Source: httpcore documentation, "Extensions", trace (read 2026-11-28).
    """
    if what.endswith("send_request_headers.started"):
        attempting = ATTEMPT.get()
        if attempting is not None and not attempting.may_send():
            raise LeaseLost


def _content(body: object, form: Mapping[str, str] | None) -> tuple[bytes | None, str | None]:
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    if body is not None:
        return orjson.dumps(body), "application/json"
    return None, None
