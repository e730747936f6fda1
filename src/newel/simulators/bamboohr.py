"""BambooHR: people, history rows, what has changed, and subscriptions to events.

The contract is the vendor's document. Refusals have no body but a header that says why; creating
answers with an empty body and a Location; asking for too much is 503. A field the key may not see
is left out of the answer. Source: connectors document, §17.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from .bamboohr_world import FIELDS, TABLES, BambooHRWorld
from .faults import Throttle
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

V1 = "/api/v1"
EMPLOYEE = V1 + "/employees/{id}"
EVENTS = {
    "employee_with_fields.created",
    "employee_with_fields.updated",
    "employee_with_fields.deleted",
    "employee.created",
    "employee.updated",
    "employee.deleted",
}
DEFAULT_EVENTS = sorted(event for event in EVENTS if event.startswith("employee_with_fields"))
MOST_FIELDS = 400
SAID = "X-BambooHR-Error-Message"
LISTED = ("displayName", "firstName", "lastName", "workEmail", "jobTitle", "department", "location")


class BambooHRSimulator(BambooHRWorld):
    """One company at BambooHR; see the module's text."""

    # How BambooHR refuses ----------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the key, sent as the name of Basic credentials."""
        kind, _, encoded = asked.headers.get("authorization", "").partition(" ")
        try:
            key = base64.b64decode(encoded, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
        found = self.known_credential(key) if kind.lower() == "basic" else None
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403."""
        del asked, route
        return self.problem(403, f"The API key may not use {missing[0]}.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the refusal for a status."""
        del asked
        texts = {
            "400": "The body cannot be read.",
            "401": "The API key is missing or invalid.",
            "404": "There is no such employee.",
            "409": "A field has an invalid value.",
            "503": "Too many requests.",
        }
        status = int(code) if code.isdigit() else 400
        return self.problem(status, texts.get(code, code))

    def problem(self, status: int, text: str) -> Answer:
        """Build the refusal: no body, and the reason in a header."""
        return Answer(status, None, {SAID: text})

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 503; style `account`: 429, the limit of the whole account."""
        wait = {} if effect.retry_after is None else {"Retry-After": str(effect.retry_after)}
        code = "429" if effect.style == "account" else "503"
        return self.error(code, asked=asked).with_headers(wait)

    # People ------------------------------------------------------------------------------------

    @route("POST", V1 + "/employees", operation="create-employee", needs=("employees.write",))
    def create_employee(self, asked: Asked) -> Answer:
        """Enter a person; the id is in the Location, and the body is empty."""
        wanted = asked.json()
        email = str(wanted.get("workEmail") or "").lower()
        number = str(wanted.get("employeeNumber") or "")
        name = f"{wanted.get('firstName')} {wanted.get('lastName')}"
        asked.concerns(f"employee/{email or number or name}", marker=number)
        if not wanted.get("firstName") or not wanted.get("lastName"):
            raise Refused(self.problem(400, "firstName and lastName are required."))
        self._check(wanted)
        row = self.new_employee({n: v for n, v in wanted.items() if n in FIELDS})
        return Answer(201, None, {"Location": f"{asked.base_url}{V1}/employees/{row['id']}"})

    @route("GET", EMPLOYEE, operation="get-employee", needs=("employees",))
    def employee(self, asked: Asked) -> Answer:
        """Show the fields that were asked for, without those the key may not see."""
        row = self._employee(asked)
        names = [
            each for each in asked.query.get("fields", "firstName,lastName").split(",") if each
        ]
        if len(names) > MOST_FIELDS:
            raise Refused(self.problem(400, "Too many fields."))
        shown: Document = {"id": row["id"]}
        for name in names:
            if name in FIELDS and f"field:{name}" in asked.credential.scopes:
                shown[name] = row[name]
        return Answer(200, shown)

    @route("POST", EMPLOYEE, operation="update-employee", needs=("employees.write",))
    def update_employee(self, asked: Asked) -> Answer:
        """Change fields of a person."""
        row, wanted = self._employee(asked), asked.json()
        asked.concerns(f"employee/{str(row['workEmail'] or row['employeeNumber']).lower()}")
        self._check(wanted, beside=row["id"])
        self.change_employee(row["id"], {n: v for n, v in wanted.items() if n in FIELDS})
        return Answer(200)

    @route(
        "GET",
        V1 + "/employees/directory",
        operation="get-employees-directory",
        needs=("employee_directory",),
    )
    def directory(self, asked: Asked) -> Answer:
        """List everybody who has not left, or really everybody."""
        everybody = asked.query.get("onlyCurrent", "true") == "false"
        rows = self.store.rows("employees", lambda row: everybody or row["status"] == "Active")
        if not rows:
            raise Refused(self.problem(404, "The directory is empty."))
        people = [
            {"id": row["id"], **{name: row[name] for name in LISTED}} for row in rows.values()
        ]
        fields = [{"id": name, "type": "text", "name": name} for name in LISTED]
        return Answer(200, {"fields": fields, "employees": people})

    @route(
        "GET",
        V1 + "/employees/changed",
        operation="get-changed-employee-ids",
        needs=("employees",),
    )
    def changed(self, asked: Asked) -> Answer:
        """Say whose record has changed since a moment, and how; nothing more."""
        since = self._moment(asked)
        kind = asked.query.get("type", "all")
        rows = self.store.rows(
            "changed",
            lambda row: (
                datetime.fromisoformat(row["lastChanged"]) >= since
                and kind
                in ("all", {"Created": "inserted"}.get(row["action"], row["action"].lower()))
            ),
        )
        found = {
            key: {**row, "action": {"Created": "Inserted"}.get(row["action"], row["action"])}
            for key, row in rows.items()
        }
        latest = max((row["lastChanged"] for row in found.values()), default=since.isoformat())
        return Answer(200, {"latest": latest, "employees": found})

    @route("GET", V1 + "/meta/fields", operation="list-fields", needs=("employees",))
    def fields(self, asked: Asked) -> Answer:
        """List the fields of this company."""
        del asked
        listed = [
            {"id": number, "name": name, "type": "text", "alias": name}
            for number, name in enumerate(FIELDS, 1)
        ]
        return Answer(200, listed)

    # History rows ------------------------------------------------------------------------------

    @route(
        "GET",
        EMPLOYEE + "/tables/{table}",
        operation="get-employee-table-data",
        needs=("employees",),
    )
    def rows(self, asked: Asked) -> Answer:
        """List the rows of one table of a person."""
        row, table = self._employee(asked), self._table(asked)
        found = self.store.rows(table, lambda each: each["employeeId"] == row["id"])
        return Answer(200, list(found.values()))

    @route(
        "POST",
        "/api/v1_1/employees/{id}/tables/{table}",
        operation="create-table-row-v1-1",
        needs=("employees.write",),
    )
    def add_row(self, asked: Asked) -> Answer:
        """Add a row; every request adds one, and the body is empty."""
        row, table, wanted = self._employee(asked), self._table(asked), asked.json()
        first = TABLES[table][0]
        asked.concerns(f"row/{table}/{row['id']}/{wanted.get(first)}")
        try:
            datetime.fromisoformat(str(wanted.get(first)))
        except ValueError as wrong:
            raise Refused(self.problem(406, f"{first} is no date.")) from wrong
        if unknown := sorted(wanted.keys() - set(TABLES[table])):
            raise Refused(self.problem(406, f"{unknown[0]} is no field of {table}."))
        self.new_row(row["id"], table, wanted)
        return Answer(200)

    # Subscriptions -----------------------------------------------------------------------------

    @route("GET", V1 + "/webhooks", operation="list-webhooks", needs=("webhooks",))
    def webhooks(self, asked: Asked) -> Answer:
        """List subscriptions in short."""
        del asked
        names = ("id", "name", "created", "lastSent", "url")
        found = self.store.rows("webhooks").values()
        return Answer(200, {"webhooks": [{name: row[name] for name in names} for row in found]})

    @route("POST", V1 + "/webhooks", operation="create-webhook", needs=("webhooks",))
    def create_webhook(self, asked: Asked) -> Answer:
        """Subscribe; the key that signs is shown this once."""
        wanted = asked.json()
        asked.concerns(f"webhook/{wanted.get('name')}")
        missing = [name for name in ("name", "url", "format") if not wanted.get(name)]
        events = wanted.get("events") or DEFAULT_EVENTS
        families = {event.partition(".")[0] for event in events}
        if missing or set(events) - EVENTS or len(families) > 1:
            what = f"{missing[0]} is required" if missing else "the events do not go together"
            raise Refused(self._subscription_problem(what))
        if not str(wanted["url"]).startswith("https://"):
            raise Refused(self._subscription_problem("the url must be https"))
        is_updated = any(event.endswith(".updated") for event in events)
        if is_updated and not wanted.get("monitorFields"):
            raise Refused(self._subscription_problem("monitorFields is required"))
        if unknown := sorted(set(wanted.get("monitorFields") or ()) - set(FIELDS)):
            raise Refused(self._subscription_problem(f"unknown field {unknown[0]}"))
        number = str(self.store.number("webhook"))
        row = {
            "id": number,
            "name": wanted["name"],
            "created": self.clock.now().isoformat(),
            "lastSent": None,
            "monitorFields": wanted.get("monitorFields"),
            "postFields": wanted.get("postFields") or {},
            "url": wanted["url"],
            "format": wanted["format"],
            "privateKey": self.store.opaque("webhook", 32),
            "includeCompanyDomain": bool(wanted.get("includeCompanyDomain")),
            "events": sorted(events),
        }
        return Answer(201, self.store.put("webhooks", number, row))

    @route("GET", V1 + "/webhooks/{id}", operation="get-webhook", needs=("webhooks",))
    def webhook(self, asked: Asked) -> Answer:
        """Show a subscription, without its key."""
        row = self._webhook(asked)
        return Answer(200, {name: value for name, value in row.items() if name != "privateKey"})

    @route("DELETE", V1 + "/webhooks/{id}", operation="delete-webhook", needs=("webhooks",))
    def delete_webhook(self, asked: Asked) -> Answer:
        """End a subscription."""
        row = self._webhook(asked)
        asked.concerns(f"webhook/{row['name']}")
        self.store.remove("webhooks", row["id"])
        return Answer(200, "The webhook has been deleted.", media_type="text/plain")

    # Checks ------------------------------------------------------------------------------------

    def _subscription_problem(self, text: str) -> Answer:
        return Answer(400, {"errors": [{"error": text, "issues": [text]}]})

    def _webhook(self, asked: Asked) -> Document:
        found = self.store.find("webhooks", asked.params["id"])
        if found is None:
            raise Refused(Answer(404, {"errors": [{"error": "There is no such webhook."}]}))
        return found

    def _employee(self, asked: Asked) -> Document:
        identity = asked.params["id"]
        found = self.store.find(
            "employees", asked.credential.subject if identity == "0" else identity
        )
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def _table(self, asked: Asked) -> str:
        if asked.params["table"] not in TABLES:
            raise Refused(self.problem(404, "There is no such table."))
        return asked.params["table"]

    def _moment(self, asked: Asked) -> datetime:
        try:
            moment = datetime.fromisoformat(asked.query.get("since", ""))
        except ValueError as wrong:
            raise Refused(self.problem(400, "since must be a date and time.")) from wrong
        if moment.tzinfo is None:
            raise Refused(self.problem(400, "since must name its zone."))
        return moment

    def _check(self, wanted: Document, *, beside: str = "") -> None:
        """Refuse addresses and numbers that somebody else has, and dates that are none."""
        for name in ("workEmail", "employeeNumber"):
            value = str(wanted.get(name) or "").lower()
            taken = value and self.store.first(
                "employees",
                lambda row, name=name, value=value: (  # type: ignore[misc]  # bound per name
                    row["id"] != beside and str(row[name] or "").lower() == value
                ),
            )
            if taken:
                raise Refused(self.problem(409, f"{name} is in use."))
        for name in ("hireDate", "terminationDate"):
            if wanted.get(name):
                try:
                    datetime.fromisoformat(str(wanted[name]))
                except ValueError as wrong:
                    raise Refused(self.problem(409, f"{name} is no date.")) from wrong
