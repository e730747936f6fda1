"""Zendesk: its tickets, as far as `trackers.zendesk` needs them.

A create carries an idempotency key, so the same request sent twice within two hours makes one
ticket; after that the external id finds it.
Source: connectors document, §20; https://developer.zendesk.com/api-reference (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Final, Protocol, TypeVar, Unpack

from newel.base.errors import Forbidden, Invalid, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route, facts_of, judged_by_status, sanitised
from newel.connectors.auth import BasicCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.paging import pages

__all__ = ["Zendesk", "ZendeskTicket"]

API: Final = "zendesk.api"
_TICKETS: Final = "/api/v2/tickets"
ME: Final = Route("ShowCurrentUser", "GET", "/api/v2/users/me", API)
LIST: Final = Route("ListTickets", "GET", _TICKETS, API)
# Repeatable for as long as Zendesk remembers the key, which is longer than a step is repeated.
CREATE: Final = Route("CreateTicket", "POST", _TICKETS, API, repeatable=True)
SHOW: Final = Route("ShowTicket", "GET", f"{_TICKETS}/{{ticket}}", API)
UPDATE: Final = Route("UpdateTicket", "PUT", f"{_TICKETS}/{{ticket}}", API)
COMMENTS: Final = Route("ListTicketComments", "GET", f"{_TICKETS}/{{ticket}}/comments", API)


@dataclass(frozen=True)
class ZendeskTicket:
    """A ticket; status: new, open, pending, hold, solved or closed, which is for ever."""

    id: int
    status: str
    external_id: str | None = None


@dataclass(frozen=True)
class _Many:
    tickets: tuple[ZendeskTicket, ...]
    next_page: str | None = None


@dataclass(frozen=True)
class _Comment:
    plain_body: str


@dataclass(frozen=True)
class _Comments:
    comments: tuple[_Comment, ...]
    next_page: str | None = None


@dataclass(frozen=True)
class _User:
    role: str
    name: str = ""


class _Paged(Protocol):
    """One page of a listing of Zendesk."""

    @property
    def next_page(self) -> str | None:
        """The address of the next one; None on the last."""
        ...


P = TypeVar("P", bound=_Paged)

_ONE: Final = Shape(ZendeskTicket, at="ticket")
_MANY: Final = Shape(_Many)
_COMMENT_PAGES: Final = Shape(_Comments)
_ME: Final = Shape(_User, at="user")
_STAFF: Final = frozenset({"agent", "admin"})


class Zendesk(Connector):
    """One Zendesk account."""

    title = "Zendesk"
    buckets: ClassVar = (Bucket(name=API, rate=160 / 60, capacity=20),)

    def __init__(
        self,
        *,
        email: str,
        token: SecretRef,
        base_url: str,
        name: str = "zendesk",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an agent's address and an API token; base_url: the account's own address."""
        super().__init__(
            name=name,
            secret=token,
            credential=BasicCredential(f"{email}/token", token),
            addresses={"": base_url},
            request_id=("x-request-id",),
            **outside,
        )
        self.base_url = base_url.rstrip("/")

    async def probe(self) -> None:
        """Ask who we are."""
        await self.http.call(ME)

    async def check(self) -> Check:
        """Prove the token, and that its user is an agent: others see their own tickets only."""
        me = _ME.read(await self.http.call(ME))
        is_staff = me.role in _STAFF
        missing = () if is_staff else ("agent",)
        return Check(ok=is_staff, identity=me.name, have=(me.role,), missing=missing)

    async def tickets(self, external_id: str) -> list[ZendeskTicket]:
        """Find the tickets with an external id, the oldest first."""
        found: list[ZendeskTicket] = []
        async for page in self._pages(LIST, _MANY, {}, {"external_id": external_id}):
            found += [each for each in page.tickets if each.external_id == external_id]
        return sorted(found, key=lambda each: each.id)

    async def create(self, fields: dict[str, object], key: str) -> ZendeskTicket:
        """Open a ticket; key: the same for every attempt at the same ticket."""
        headers = {"Idempotency-Key": key}
        return _ONE.read(await self.http.call(CREATE, body={"ticket": fields}, headers=headers))

    async def ticket(self, number: str) -> ZendeskTicket:
        """Read a ticket."""
        return _ONE.read(await self.http.call(SHOW, {"ticket": number}))

    async def update(self, number: str, fields: dict[str, object]) -> None:
        """Change a ticket: its status, or a comment more."""
        await self.http.call(UPDATE, {"ticket": number}, body={"ticket": fields})

    async def comments(self, number: str) -> AsyncIterator[str]:
        """Give the texts of a ticket's comments; the first is the ticket's own."""
        async for page in self._pages(COMMENTS, _COMMENT_PAGES, {"ticket": number}, {}):
            for each in page.comments:
                yield each.plain_body

    def _pages(
        self, route: Route, shape: Shape[P], path: Mapping[str, object], query: Mapping[str, str]
    ) -> AsyncIterator[P]:
        """Give the pages of a listing, to its end."""

        async def read(url: str) -> tuple[P, str | None]:
            if url:
                answer = await self.http.call(route, path, url=url)
            else:
                answer = await self.http.call(route, path, query=query)
            page = shape.read(answer)
            return page, page.next_page

        return pages(route.operation, read, "")

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Zendesk."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return judged_by_status(answer)
        document = answer.fields
        error = document.get("error")
        code = error if isinstance(error, str) else None
        said, facts = sanitised(document.get("description")), facts_of(answer, code)
        match answer.status:
            case 403:
                return Forbidden(f"The agent may not do this: {said}", missing="agent", **facts)
            case 422:
                return Invalid(f"Zendesk refuses the data: {said}", **facts)
            case _:
                return judged_by_status(answer, code=code, said=said)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this minute."""
        remaining = answer.headers.get("ratelimit-remaining", "")
        return LimitHeaders(remaining=int(remaining)) if remaining.isdigit() else None
