"""A stand-in of ServiceNow's Table API, as far as incidents and work notes go.

It answers as the product documentation of the Table API says.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence

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

TABLE = "/api/now/table"
INCIDENTS = TABLE + "/incident"
INCIDENT = INCIDENTS + "/{incident}"
USER = "newel"
NEEDS = ("itil",)
OPEN = ("1", "2", "3")
STATES = (*OPEN, "6", "7", "8")


class ServiceNowSimulator(Simulator):
    """One instance of ServiceNow."""

    system = "servicenow"
    title = "ServiceNow"

    def populate(self) -> None:
        """Make the user."""
        self.grant(USER, f"{USER}:{self.store.opaque('password', 24)}", NEEDS)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give user, password and address."""
        secret = next(iter(self.store.rows("credentials")))
        return {
            "SERVICENOW_USER": USER,
            "SERVICENOW_PASSWORD": secret.partition(":")[2],
            "SERVICENOW_URL": address or "https://acme-example.service-now.com",
        }

    # How it refuses

    def authenticated(self, asked: Asked) -> Credential:
        """Find the user of Basic authentication."""
        kind, _, encoded = asked.headers.get("authorization", "").partition(" ")
        secret = ""
        if kind.lower() == "basic":
            try:
                secret = b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                secret = ""
        found = self.known_credential(secret)
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(
        self, asked: Asked, route: Route, missing: Sequence[str]
    ) -> Answer:
        """Refuse who has not the role."""
        del asked, route, missing
        return problem(403, "Insufficient rights to access the record")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give its envelope for a status."""
        del asked
        texts = {"401": "User Not Authenticated", "404": "No Record found"}
        status = int(code) if code.isdigit() else 400
        return problem(status, texts.get(code, f"Error {code}"))

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429 with the wait."""
        del asked
        answer = problem(429, "Rate limit exceeded")
        if effect.retry_after is None:
            return answer
        return answer.with_headers({"Retry-After": str(effect.retry_after)})

    # What it answers

    @route("GET", INCIDENTS, operation="incident.list", needs=NEEDS)
    def listed(self, asked: Asked) -> Answer:
        """List incidents that fit an encoded query of equalities."""
        fits = fitting(asked.query.get("sysparm_query", ""))
        lag = self.lag("servicenow.incidents")
        rows = self.store.rows("incidents", fits, lag=lag)
        return self.paged(asked, list(rows.values()))

    @route("GET", INCIDENT, operation="incident.read", needs=NEEDS)
    def read(self, asked: Asked) -> Answer:
        """Show an incident."""
        return Answer(200, {"result": self.row(asked)})

    @route("POST", INCIDENTS, operation="incident.create", needs=NEEDS)
    def create(self, asked: Asked) -> Answer:
        """Open an incident; two of one correlation id are possible."""
        given = asked.json()
        mark = str(given.get("correlation_id") or "")
        asked.concerns(f"incident/{mark}", marker=mark)
        number = self.store.number("incident", start=10_001)
        identity = self.store.opaque("incident", 32)
        row: Document = {
            "sys_id": identity,
            "number": f"INC{number:07d}",
            "state": "1",
            "short_description": str(given.get("short_description") or ""),
            "description": str(given.get("description") or ""),
            "correlation_id": mark,
            "assignment_group": str(given.get("assignment_group") or ""),
        }
        return Answer(201, {"result": self.store.put("incidents", identity, row)})

    @route("PATCH", INCIDENT, operation="incident.update", needs=NEEDS)
    def update(self, asked: Asked) -> Answer:
        """Change an incident; resolving needs a code and notes."""
        row, given = self.row(asked), asked.json()
        state = given.get("state", row["state"])
        is_told = given.get("close_code") and given.get("close_notes")
        if state not in STATES or (state == "6" and not is_told):
            text = "Data Policy Exception: close_code, close_notes are mandatory"
            raise Refused(problem(403 if state in STATES else 400, text))
        if note := given.get("work_notes"):
            last = str(note).strip().splitlines()[-1]
            asked.concerns(f"note/{row['number']}/{last}")
            self.note(row["sys_id"], str(note))
        changed = {**row, "state": state}
        if "description" in given:
            changed["description"] = str(given["description"])
        if changed != row:
            self.store.put("incidents", row["sys_id"], changed)
        return Answer(200, {"result": changed})

    @route("GET", TABLE + "/sys_journal_field", operation="notes.list", needs=NEEDS)
    def notes(self, asked: Asked) -> Answer:
        """List work notes."""
        fits = fitting(asked.query.get("sysparm_query", ""))
        return self.paged(asked, list(self.store.rows("notes", fits).values()))

    def note(self, incident: str, text: str) -> None:
        """Write a work note."""
        number = self.store.number("note")
        row = {"element_id": incident, "element": "work_notes", "value": text}
        self.store.put("notes", str(number), row)

    def row(self, asked: Asked) -> Document:
        """Find the incident of the path."""
        found = self.store.find("incidents", asked.params["incident"])
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def paged(self, asked: Asked, rows: list[Document]) -> Answer:
        """Give one page, by limit and offset."""
        start = int(asked.query.get("sysparm_offset", "0"))
        limit = int(asked.query.get("sysparm_limit", "10000"))
        size = self.page(limit, largest=10_000)
        return Answer(200, {"result": rows[start : start + size]})

    # What people do in it, and what its page shows

    @action
    def resolve_issue(self, key: str) -> None:
        """Let an agent resolve an incident."""
        row = self.store.find("incidents", key)
        assert row is not None, f"there is no incident {key}"
        self.store.put("incidents", key, {**row, "state": "6"})

    def accounts(self) -> list[Document]:
        """It holds no accounts of ours."""
        return []

    def tickets(self) -> list[Document]:
        """List all incidents: key, summary, text, status, work notes."""
        said = list(self.store.rows("notes").values())
        return [
            {
                "key": row["sys_id"],
                "summary": row["short_description"],
                "body": row["description"],
                "status": "To Do" if row["state"] in OPEN else "Done",
                "comments": [
                    each["value"]
                    for each in said
                    if each["element_id"] == row["sys_id"]
                ],
            }
            for row in self.store.rows("incidents").values()
        ]

    def panels(self) -> list[Panel]:
        """Show the incidents, the newest first."""
        rows = [
            (each["summary"], each["status"], each["body"])
            for each in reversed(self.tickets())
        ]
        columns = ("Short description", "State", "Text")
        return [Panel(title="Incidents", columns=columns, rows=rows)]


def problem(status: int, text: str) -> Answer:
    """Say no in its envelope."""
    return Answer(status, {"error": {"message": text}, "status": "failure"})


def fitting(query: str) -> Callable[[Document], bool]:
    """Read an encoded query of equalities; an order is that of creation anyway."""
    parts = [each for each in query.split("^") if each and "ORDERBY" not in each]
    wanted = [each.partition("=")[::2] for each in parts]
    return lambda row: all(row.get(name) == value for name, value in wanted)
