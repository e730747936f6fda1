"""What a company at BambooHR is made of: people, their history rows, subscriptions and events.

Every change of a person is remembered with its time (that is what polling reads) and put into the
outbox of each subscription (that is what webhooks deliver).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .core import Simulator
from .faults import WebhookDelay, WebhookDrop, WebhookDuplicate, WebhookReorder
from .quota import RateLimit
from .system import Panel, action
from .wire import Document

FIELDS = (
    "employeeNumber",
    "firstName",
    "lastName",
    "displayName",
    "workEmail",
    "homeEmail",
    "jobTitle",
    "department",
    "division",
    "location",
    "hireDate",
    "terminationDate",
    "status",
    "supervisorEId",
)
TABLES: Mapping[str, tuple[str, ...]] = {
    "employmentStatus": ("date", "employmentStatus", "comment"),
    "jobInfo": ("date", "location", "division", "department", "jobTitle", "reportsTo"),
    "compensation": ("startDate", "rate", "type", "exempt", "reason", "paidPer"),
}
SCOPES = (
    "employees",
    "employees.write",
    "employee_directory",
    "webhooks",
    *(f"field:{name}" for name in FIELDS),
)
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one subscriber."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class BambooHRWorld(Simulator):
    """The state of one company, and what people do there."""

    system = "bamboohr"
    title = "BambooHR"
    # BambooHR names no number; this one is ours.
    rate_limits = (RateLimit(most=10, seconds=1),)

    def populate(self) -> None:
        """Make the key, and the HR administrator whom it belongs to."""
        admin = self.new_employee(
            {
                "firstName": "Hedda",
                "lastName": "Rice",
                "workEmail": "hedda.rice@acme.example",
                "jobTitle": "HR administrator",
                "hireDate": "2020-01-01",
            }
        )
        self.grant("newel", self.store.opaque("key", 40), SCOPES, subject=admin["id"])

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give key, company and address."""
        key = next(iter(self.store.rows("credentials", lambda row: row["label"] == "newel")))
        return {
            "BAMBOOHR_KEY": key,
            "BAMBOOHR_COMPANY": "acme",
            "BAMBOOHR_URL": address or "https://acme.bamboohr.com",
        }

    def accounts(self) -> list[Document]:
        """List the people."""
        return [
            {
                "id": row["id"],
                "handle": row["displayName"],
                "email": row["workEmail"] or "",
                "state": row["status"],
                "marker": row["employeeNumber"],
                "access": [],
            }
            for row in self.store.rows("employees").values()
        ]

    def panels(self) -> list[Panel]:
        """Show people and what is on its way to subscribers."""
        columns = ("Number", "Name", "E-mail", "Title", "From", "Until", "State")
        people = [
            (
                row["employeeNumber"],
                row["displayName"],
                row["workEmail"] or "",
                row["jobTitle"] or "",
                row["hireDate"] or "",
                row["terminationDate"] or "",
                row["status"],
            )
            for row in reversed(self.store.rows("employees").values())
        ]
        waiting = [
            (each["at"], each["type"], each["employee"])
            for each in self.store.rows("outbox").values()
        ]
        return [
            Panel(title="People", columns=columns, rows=people),
            Panel(title="Events to deliver", columns=("Since", "Event", "Person"), rows=waiting),
        ]

    # What people do ------------------------------------------------------------------------------

    @action
    def hire(
        self, first_name: str, last_name: str, work_email: str = "", hire_date: str = ""
    ) -> str:
        """Let somebody in HR enter a new person."""
        fields = {
            "firstName": first_name,
            "lastName": last_name,
            "workEmail": work_email or None,
            "hireDate": hire_date or None,
        }
        return str(self.new_employee(fields)["id"])

    @action
    def change(self, employee: str, field: str, value: str | None) -> None:
        """Let somebody in HR change one field of a person, or empty it. Raises ValueError."""
        if field not in FIELDS or self.store.find("employees", employee) is None:
            message = f"there is no {field} of {employee}"
            raise ValueError(message)
        self.change_employee(employee, {field: value})

    @action
    def terminate(self, employee: str, date: str) -> None:
        """Let somebody in HR enter that a person leaves. Raises ValueError."""
        if self.store.find("employees", employee) is None:
            message = f"there is no person {employee}"
            raise ValueError(message)
        self.new_row(employee, "employmentStatus", {"date": date, "employmentStatus": "Terminated"})

    @action
    def remove(self, employee: str) -> None:
        """Let somebody in HR delete a person's record."""
        if self.store.remove("employees", employee):
            self._happened("deleted", employee, [])

    # State ---------------------------------------------------------------------------------------

    def new_employee(self, fields: Mapping[str, object]) -> Document:
        """Enter a person; the system gives the number if none is given."""
        number = self.store.number("employee")
        row: Document = {**dict.fromkeys(FIELDS), "id": str(number), "status": "Active", **fields}
        row["employeeNumber"] = row["employeeNumber"] or str(4000 + number)
        row["displayName"] = f"{row['firstName']} {row['lastName']}"
        self.store.put("employees", row["id"], row)
        self._happened("created", row["id"], [name for name in FIELDS if row[name] is not None])
        return row

    def change_employee(self, identity: str, fields: Mapping[str, object]) -> Document:
        """Change fields of a person; what is as it was is no event."""
        before: Document = self.store.find("employees", identity) or {}
        changed = {**before, **fields}
        changed["displayName"] = f"{changed['firstName']} {changed['lastName']}"
        names = sorted(name for name in FIELDS if changed[name] != before[name])
        if names:
            self.store.put("employees", identity, changed)
            self._happened("updated", identity, names)
        return changed

    def new_row(self, identity: str, table: str, fields: Mapping[str, object]) -> Document:
        """Add a history row, and let it take its effect on the person."""
        number = str(self.store.number(table))
        kept = {name: fields.get(name) for name in TABLES[table]}
        row: Document = {"id": number, "employeeId": identity, **kept}
        self.store.put(table, number, row)
        if table == "employmentStatus":
            is_leaving = row["employmentStatus"] == "Terminated"
            effect = {
                "status": "Inactive" if is_leaving else "Active",
                "terminationDate": row["date"] if is_leaving else None,
            }
        elif table == "jobInfo":
            names = ("location", "division", "department", "jobTitle")
            effect = {name: row[name] for name in names if row[name] is not None}
        else:
            effect = {}
        self.change_employee(identity, effect)
        return row

    def _happened(self, kind: str, identity: str, names: list[str]) -> None:
        """Remember a change for those who poll, and put it into the outbox of subscribers."""
        moment = self.clock.now().isoformat()
        change = {"id": identity, "action": kind.capitalize(), "lastChanged": moment}
        self.store.put("changed", identity, change)
        for hook in self.store.rows("webhooks").values():
            for event in (f"employee.{kind}", f"employee_with_fields.{kind}"):
                monitored = set(hook["monitorFields"] or ())
                if event in hook["events"] and (
                    kind != "updated" or not monitored or monitored & set(names)
                ):
                    self._enqueue(hook, event, identity, names)

    def _enqueue(self, hook: Document, event: str, identity: str, names: list[str]) -> None:
        key = str(self.store.number("event"))
        entry = {
            "key": key,
            "hook": hook["id"],
            "type": event,
            "employee": identity,
            "names": names,
            "at": self.clock.now().isoformat(),
        }
        self.store.put("outbox", key, entry)

    # Deliveries ----------------------------------------------------------------------------------

    async def deliver(self, post: Post) -> int:
        """Deliver what is due, as the faults in force have it; gives how many were sent."""
        due = self._due()
        for delivery in due:
            await post(delivery.url, delivery.headers, delivery.body)
        return len(due)

    def _due(self) -> list[Delivery]:
        now = self.clock.now()
        delays = [each.seconds for _, each in self.faults.conditions(WebhookDelay, now)]
        horizon = now - timedelta(seconds=max(delays, default=0.0))
        due = [
            entry
            for entry in self.store.rows("outbox").values()
            if datetime.fromisoformat(entry["at"]) <= horizon
        ]
        for entry in due:
            self.store.remove("outbox", entry["key"])
        if self.faults.conditions(WebhookDrop, now):
            return []
        if self.faults.conditions(WebhookReorder, now):
            due.reverse()
        copies = [each.times for _, each in self.faults.conditions(WebhookDuplicate, now)]
        return [self._signed(entry) for entry in due for _ in range(max(copies, default=1))]

    def _signed(self, entry: Document) -> Delivery:
        """Sign one event as the subscriber expects it: body and timestamp together."""
        hook: Document = self.store.find("webhooks", entry["hook"]) or {}
        if entry["type"].startswith("employee_with_fields"):
            action_name = entry["type"].partition(".")[2].capitalize()
            person = {
                "id": entry["employee"],
                "action": action_name,
                "timestamp": entry["at"],
                "changedFields": entry["names"],
                "fields": {},
            }
            payload: Document = {"employees": [person]}
        else:
            payload = {
                "id": f"evt-{self.seed}-{entry['key']}",
                "type": entry["type"],
                "timestamp": entry["at"],
                "data": {"employeeId": entry["employee"], "changedFields": entry["names"]},
            }
        body = json.dumps(payload, separators=(",", ":")).encode()
        stamp = str(int(self.clock.now().timestamp()))
        key = str(hook.get("privateKey", "")).encode()
        signature = hmac.new(key, body + stamp.encode(), hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-BambooHR-Timestamp": stamp,
            "X-BambooHR-Signature": signature,
        }
        return Delivery(hook.get("url", ""), headers, body)
