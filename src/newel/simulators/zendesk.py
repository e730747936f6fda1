"""Zendesk: tickets with comments, statuses that end, and creates that may be repeated.

There is no copied specification; it answers as https://developer.zendesk.com/api-reference says.
A create with an idempotency key that is known from the last two hours answers what it answered
then, with `x-idempotency-lookup: hit`; the same key with other content is refused.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta

from .clock import stamp
from .core import Simulator
from .faults import Throttle
from .quota import RateLimit
from .system import Panel, action, ticket_panel
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

BASE = "/api/v2"
TICKETS = BASE + "/tickets"
TICKET = TICKETS + "/{ticket}"
AGENT = "newel@acme.example"
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
SETTABLE = {"subject", "comment", "external_id", "tags", "type", "status", "group_id", "priority"}
KEY_LASTS = timedelta(hours=2)
NEEDS = ("agent",)


class ZendeskSimulator(Simulator):
    """One Zendesk account."""

    system = "zendesk"
    title = "Zendesk"
    # developer.zendesk.com, rate limits of the smallest plan
    rate_limits = (RateLimit(most=200, seconds=60),)

    def populate(self) -> None:
        """Make the agent's API token."""
        token = self.store.opaque("token", 40)
        self.grant("newel", f"{AGENT}/token:{token}", NEEDS, subject=AGENT)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give e-mail, token and address."""
        secret = next(iter(self.store.rows("credentials")))
        return {
            "ZENDESK_EMAIL": AGENT,
            "ZENDESK_TOKEN": secret.partition(":")[2],
            "ZENDESK_URL": address or "https://acme-example.zendesk.com",
        }

    # How Zendesk refuses -----------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the token of Basic authentication."""
        kind, _, encoded = asked.headers.get("authorization", "").partition(" ")
        try:
            secret = b64decode(encoded, validate=True).decode() if kind.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            secret = ""
        found = self.known_credential(secret)
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse who is no agent."""
        del asked, route, missing
        return self._problem(403, "Forbidden", "You do not have access to this page.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Zendesk's envelope for a status."""
        del asked
        if code == "401":
            return Answer(401, {"error": "Couldn't authenticate you"})
        texts = {"400": "BadRequest", "404": "RecordNotFound", "503": "ServiceUnavailable"}
        return self._problem(int(code) if code.isdigit() else 422, texts.get(code, code), code)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429 with the wait."""
        del asked
        answer = self._problem(429, "APIRateLimitExceeded", "Number of allowed requests exceeded")
        wait = effect.retry_after
        return answer if wait is None else answer.with_headers({"Retry-After": str(wait)})

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the request's id and the minute's limit."""
        del asked
        return answer.with_headers(
            {
                "X-Request-Id": f"{self.seed:08x}-{sequence:08x}",
                "ratelimit-limit": "200",
                "ratelimit-remaining": "199",
            }
        )

    def _problem(self, status: int, error: str, text: str) -> Answer:
        return Answer(status, {"error": error, "description": text})

    # Routes ------------------------------------------------------------------------------------

    @route("GET", BASE + "/users/me", operation="ShowCurrentUser")
    def me(self, asked: Asked) -> Answer:
        """Show whose token it is."""
        role = "agent" if "agent" in asked.credential.scopes else "end-user"
        return Answer(200, {"user": {"id": 35_001, "name": "newel", "email": AGENT, "role": role}})

    @route("GET", TICKETS, operation="ListTickets", needs=NEEDS)
    def tickets_listed(self, asked: Asked) -> Answer:
        """List tickets, those of an external id if asked."""
        wanted = asked.query.get("external_id")
        lag = self.lag("zendesk.tickets")
        found = self.store.rows(
            "tickets", lambda row: wanted in (None, row["external_id"]), lag=lag
        ).values()
        return self._paged(asked, "tickets", list(found))

    @route("POST", TICKETS, operation="CreateTicket", needs=NEEDS)
    def create(self, asked: Asked) -> Answer:
        """Open a ticket, once per idempotency key."""
        key, given = asked.headers.get("idempotency-key", ""), self._ticket_of(asked)
        if (known := self._known(key)) is not None:
            if known["given"] != given:
                text = "The idempotency key was used with other parameters."
                raise Refused(self._problem(400, "IdempotentRequestError", text))
            row = self.store.find("tickets", known["ticket"])
            return Answer(201, {"ticket": row}, {"x-idempotency-lookup": "hit"})
        comment: Document = given.get("comment") or {}
        if not str(comment.get("body") or "").strip():
            raise Refused(self._problem(422, "RecordInvalid", "Description: cannot be blank"))
        number = self.store.number("ticket", start=35_437)
        asked.concerns(f"ticket/{given.get('external_id') or number}", marker=key)
        row = {
            "id": number,
            "url": f"{asked.base_url}{TICKETS}/{number}.json",
            "subject": given.get("subject"),
            "external_id": given.get("external_id"),
            "tags": given.get("tags") or [],
            "type": given.get("type"),
            "status": "new",
            "created_at": stamp(self.clock.now()),
        }
        self.store.put("tickets", str(number), row)
        self._say(number, comment)
        if key:
            until = (self.clock.now() + KEY_LASTS).isoformat()
            self.store.put("keys", key, {"ticket": str(number), "given": given, "until": until})
        return Answer(201, {"ticket": row}, {"x-idempotency-lookup": "miss"} if key else {})

    def _known(self, key: str) -> Document | None:
        found = self.store.find("keys", key) if key else None
        if found is None or datetime.fromisoformat(found["until"]) <= self.clock.now():
            return None
        return found

    @route("GET", TICKET, operation="ShowTicket", needs=NEEDS)
    def ticket(self, asked: Asked) -> Answer:
        """Show a ticket."""
        return Answer(200, {"ticket": self._row(asked)})

    @route("PUT", TICKET, operation="UpdateTicket", needs=NEEDS)
    def update(self, asked: Asked) -> Answer:
        """Change a ticket, or add a comment; a closed one takes nothing any more."""
        row, given = self._row(asked), self._ticket_of(asked)
        if row["status"] == "closed":
            text = "Status: closed prevents ticket update"
            raise Refused(self._problem(422, "RecordInvalid", text))
        if given.get("status", "open") not in STATUSES:
            text = f"Status: {given['status']} is not included in the list"
            raise Refused(self._problem(422, "RecordInvalid", text))
        if comment := given.get("comment"):
            last = str(comment.get("body") or "").strip().splitlines()[-1:]
            asked.concerns(f"comment/{row['id']}/{''.join(last)}")
            self._say(row["id"], comment)
        told: Document = {name: given[name] for name in ("subject", "status") if name in given}
        changed = {**row, **told}
        if changed != row:
            self.store.put("tickets", str(row["id"]), changed)
        return Answer(200, {"ticket": changed})

    @route("GET", TICKET + "/comments", operation="ListTicketComments", needs=NEEDS)
    def comments(self, asked: Asked) -> Answer:
        """List the comments of a ticket, oldest first."""
        row = self._row(asked)
        found = self.store.rows("comments", lambda each: each["ticket"] == row["id"]).values()
        shown = [
            {"id": e["id"], "plain_body": e["body"], "body": e["body"], "public": e["public"]}
            for e in found
        ]
        return self._paged(asked, "comments", shown)

    def _say(self, ticket: int, comment: Document) -> None:
        number = self.store.number("comment", start=90_001)
        row = {"id": number, "ticket": ticket, "body": comment.get("body") or ""}
        self.store.put("comments", str(number), {**row, "public": comment.get("public", True)})

    def _ticket_of(self, asked: Asked) -> Document:
        given = asked.json().get("ticket")
        if not isinstance(given, dict):
            raise Refused(self._problem(400, "BadRequest", "ticket is missing"))
        if unknown := set(given) - SETTABLE:
            raise Refused(self._problem(422, "RecordInvalid", f"{min(unknown)}: is unknown"))
        return given

    def _row(self, asked: Asked) -> Document:
        found = self.store.find("tickets", asked.params["ticket"])
        if found is None:
            raise Refused(self._problem(404, "RecordNotFound", "Not found"))
        return found

    def _paged(self, asked: Asked, name: str, rows: list[Document]) -> Answer:
        size = self.page(int(asked.query.get("per_page", "100")), largest=100)
        number = int(asked.query.get("page", "1"))
        end = number * size
        following = None
        if end < len(rows):
            kept = {**asked.query, "page": str(number + 1)}
            query = "&".join(f"{key}={value}" for key, value in kept.items())
            following = f"{asked.base_url}{asked.path}?{query}"
        page = {name: rows[end - size : end], "next_page": following, "count": len(rows)}
        return Answer(200, page)

    # What people see and do --------------------------------------------------------------------

    @action
    def resolve_issue(self, key: str) -> None:
        """Let an agent solve a ticket."""
        row = self.store.find("tickets", key)
        if row is None:
            message = f"there is no ticket {key}"
            raise ValueError(message)
        self.store.put("tickets", key, {**row, "status": "solved"})

    def accounts(self) -> list[Document]:
        """Zendesk holds no accounts here."""
        return []

    def tickets(self) -> list[Document]:
        """List all tickets: key, summary, text, status, comments after the first."""
        found = []
        said = self.store.rows("comments").values()
        for row in self.store.rows("tickets").values():
            first, *later = [each["body"] for each in said if each["ticket"] == row["id"]]
            is_done = row["status"] in ("solved", "closed")
            found.append(
                {
                    "key": str(row["id"]),
                    "summary": row["subject"],
                    "body": first,
                    "status": "Done" if is_done else "To Do",
                    "comments": later,
                }
            )
        return found

    def panels(self) -> list[Panel]:
        """Show the tickets."""
        tickets = list(reversed(self.tickets()))
        return [ticket_panel("Tickets", ("Number", "Subject", "State", "Text"), tickets)]
