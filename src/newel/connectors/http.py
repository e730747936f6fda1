"""The one way a request leaves, and what becomes of its answer.

    gate -> credential -> request -> answer -> record -> failure class

What leaves is decided here once for all systems: nothing is repeated but a request refused for a
stale token, only https leaves the machine, and only to the hosts that the connector names. What
goes on between request and answer is the affair of `wire`.
Source: connectors document, §3.1, §5, §9.
"""

from __future__ import annotations

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
from newel.base.errors import AuthFailed, DefinitionError, NoCapacity, StepError, Throttled
from newel.connectors.addresses import Addresses
from newel.connectors.announced import Announcement, announced
from newel.connectors.answers import LONGEST_WAIT, Answer, Route, retry_after
from newel.connectors.gate import Gate, Lane, LimitHeaders
from newel.connectors.looking import WouldChange, is_looking
from newel.connectors.wire import Wire
from newel.flow.context import ATTEMPT

__all__ = ["Credential", "Http", "Service", "Timeouts"]

REQUESTS: Final = "api requests"
STOPS_AT: Final = 0.9
_BELIEVED: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(seconds=60)

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
        self.addresses = Addresses(service.name, service.addresses)
        self._fixed = {"User-Agent": f"newel/{_VERSION}", "Accept": "application/json"}
        self._fixed |= service.headers
        self.wire = Wire(
            clock,
            timeouts=service.timeouts.extension(),
            request_id=service.request_id,
            proxy=service.proxy,
            transport=transport,
        )
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
        self.wire.client()  # and with it the turn of this event loop
        is_repeated = False
        while True:
            sent = dict(self._fixed)
            if content_type:
                sent["Content-Type"] = content_type
            if headers:
                sent |= headers
            if is_signed:
                async with self.wire.turn:
                    sent |= await self._credential.headers(self)
            # After the credential: the token endpoint may have named another address.
            target = self.addresses.of(route, path, query, url)
            try:
                answer = await self.wire.exchange(route, target, sent, content)
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
        async with self.wire.turn:
            current = await self._credential.headers(self)
            if any(sent.get(name) != value for name, value in current.items()):
                return True  # another request has renewed it meanwhile
            return self._credential.renew()

    async def aclose(self) -> None:
        """Close the client of this event loop."""
        await self.wire.aclose()

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
            verdict.request_id = self.wire.request_id(answer)
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


def _content(body: object, form: Mapping[str, str] | None) -> tuple[bytes | None, str | None]:
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    if body is not None:
        return orjson.dumps(body), "application/json"
    return None, None
