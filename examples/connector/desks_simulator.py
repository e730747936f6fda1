"""A stand-in of Desks, for tests and for the demo: it checks what Desks checks.

Write here what the vendor's documentation says, not what the connector would like to
hear. It imports nothing of newel but the workshop of simulators, so that no shared
mistake can make the two agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from newel.simulators import (
    Answer,
    Asked,
    Credential,
    Document,
    Panel,
    Refused,
    Route,
    Simulator,
    Throttle,
    action,
    route,
)

READ = ("accounts:read",)
WRITE = ("accounts:write",)
ACCOUNTS = "/v1/accounts"
STATES = ("active", "suspended")
SEATS = 50


class DesksSimulator(Simulator):
    """One workspace of Desks."""

    system = "desks"
    title = "Desks"

    def populate(self) -> None:
        """Make the administrator's token."""
        secret = self.store.opaque("token", 40)
        self.grant("newel", secret, (*READ, *WRITE))

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give the token and the address, as the environment names them."""
        return {
            "DESKS_TOKEN": next(iter(self.store.rows("credentials"))),
            "DESKS_URL": address or "https://api.desks.example",
        }

    # How it refuses

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token."""
        header = asked.headers.get("authorization", "")
        found = self.known_credential(header.removeprefix("Bearer "))
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(
        self,
        asked: Asked,
        route: Route,
        missing: Sequence[str],
    ) -> Answer:
        """Name the scope that the token lacks."""
        del asked, route
        text = f"The token lacks {missing[0]}."
        return refusal(403, "missing_scope", text, scope=missing[0])

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the vendor's envelope for a status."""
        del asked
        status = int(code) if code.isdigit() else 400
        return refusal(status, code, f"Error {code}.")

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429 with the wait."""
        del asked
        answer = refusal(429, "slow_down", "Too many requests.")
        if effect.retry_after is None:
            return answer
        return answer.with_headers({"Retry-After": str(effect.retry_after)})

    # What it answers

    @route("GET", "/v1/me", operation="me.get")
    def me(self, asked: Asked) -> Answer:
        """Show whose token it is, and its scopes."""
        scopes = sorted(asked.credential.scopes)
        return Answer(200, {"workspace": "Acme", "scopes": scopes})

    @route("GET", ACCOUNTS, operation="accounts.list", needs=READ)
    def listed(self, asked: Asked) -> Answer:
        """List accounts, page by page; ?email= gives the one at an address."""
        email = asked.query.get("email", "").lower()
        lag = self.lag("desks.accounts")
        rows = list(self.store.rows("accounts", lag=lag).values())
        if email:
            rows = [row for row in rows if row["email"].lower() == email]
        start = int(asked.query.get("cursor", "0"))
        end = start + self.page(100, largest=100)
        following = str(end) if end < len(rows) else None
        return Answer(200, {"accounts": rows[start:end], "next": following})

    @route("POST", ACCOUNTS, operation="accounts.create", needs=WRITE)
    def create(self, asked: Asked) -> Answer:
        """Make an account: one an address, while there are seats."""
        given = asked.json()
        for field in ("email", "name"):
            if not given.get(field):
                raise Refused(invalid(field))
        email = str(given["email"])
        mark = str(given.get("reference") or "")
        asked.concerns(f"account/{email.lower()}", marker=mark)
        if self.at(email):
            text = "The address has an account."
            raise Refused(refusal(409, "email_taken", text))
        used = self.store.count("accounts", is_active)
        if not self.take_seat(used=used, seats=SEATS):
            raise Refused(refusal(402, "no_seat", "No seat is free."))
        return Answer(201, self.made(email, str(given["name"]), mark))

    @route(
        "PATCH",
        ACCOUNTS + "/{account}",
        operation="accounts.update",
        needs=WRITE,
    )
    def update(self, asked: Asked) -> Answer:
        """Suspend an account or let it in again."""
        row = self.store.find("accounts", asked.params["account"])
        if row is None:
            raise Refused(refusal(404, "not_found", "There is no such account."))
        state = asked.json().get("state")
        if state not in STATES:
            raise Refused(invalid("state"))
        asked.concerns(f"account/{row['email'].lower()}")
        changed = {**row, "state": state}
        return Answer(200, self.store.put("accounts", row["id"], changed))

    def at(self, email: str) -> Document | None:
        """Find the account at an address."""
        wanted = email.lower()
        return self.store.first(
            "accounts",
            lambda row: row["email"].lower() == wanted,
        )

    def made(self, email: str, name: str, mark: str) -> Document:
        """Make an account."""
        identity = self.store.opaque("account", 12)
        row: Document = {
            "id": identity,
            "email": email,
            "name": name,
            "state": "active",
            "reference": mark or None,
        }
        return self.store.put("accounts", identity, row)

    # What people do in it, and what its page shows

    @action
    def create_by_hand(self, email: str, name: str = "By Hand") -> str:
        """Let somebody make an account without any mark."""
        return str(self.made(email, name, "")["id"])

    def accounts(self) -> list[Document]:
        """List all accounts."""
        return [
            {
                "id": row["id"],
                "handle": row["email"],
                "email": row["email"],
                "state": row["state"],
                "marker": row["reference"] or "",
            }
            for row in self.store.rows("accounts").values()
        ]

    def panels(self) -> list[Panel]:
        """Show the accounts, the newest first."""
        rows = [
            (row["handle"], row["state"], row["marker"])
            for row in reversed(self.accounts())
        ]
        columns = ("Address", "State", "Marker")
        return [Panel(title="Accounts", columns=columns, rows=rows)]


def refusal(status: int, code: str, text: str, **more: str) -> Answer:
    """Say no in the vendor's words."""
    return Answer(status, {"code": code, "message": text, **more})


def invalid(field: str) -> Answer:
    """Refuse a field."""
    return refusal(422, "invalid", f"The field {field} is wrong.", field=field)


def is_active(row: Document) -> bool:
    """Say whether an account takes a seat."""
    return bool(row["state"] == "active")
