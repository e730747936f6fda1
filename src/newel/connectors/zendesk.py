"""Zendesk: its tickets, as far as `trackers.zendesk` needs them.

A create carries an idempotency key, so the same request sent twice within two hours makes one
ticket; after that the external id finds it.
Source: connectors document, §20; https://developer.zendesk.com/api-reference (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import Bug, Forbidden, Invalid, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route, facts_of, judged_by_status, sanitised
from newel.connectors.auth import BasicCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.http import MOST_PAGES

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
        answer = await self.http.call(LIST, query={"external_id": external_id})
        for _ in range(MOST_PAGES):
            page = _MANY.read(answer)
            found += [each for each in page.tickets if each.external_id == external_id]
            if page.next_page is None:
                return sorted(found, key=lambda each: each.id)
            answer = await self.http.call(LIST, url=page.next_page)
        raise Bug("The tickets of an external id have no end.")

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
        path = {"ticket": number}
        answer = await self.http.call(COMMENTS, path)
        for _ in range(MOST_PAGES):
            page = _COMMENT_PAGES.read(answer)
            for each in page.comments:
                yield each.plain_body
            if page.next_page is None:
                return
            answer = await self.http.call(COMMENTS, path, url=page.next_page)
        raise Bug("The comments of a ticket have no end.")

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
