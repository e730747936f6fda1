"""A small HR system in three dialects: records by id, what has changed since, nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from newel.connectors.hr_mapped import FRAPPE, GENERIC, PERSONIO, HrMapping

MAPPINGS: Final[Mapping[str, HrMapping]] = {
    "generic": GENERIC,
    "personio": PERSONIO,
    "frappe": FRAPPE,
}
_MOMENT: Final = "%Y-%m-%d %H:%M:%S"


@dataclass
class HrDesk:
    """Records by our own names of fields, told in the words of a dialect."""

    dialect: str
    now: datetime
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hidden: str = ""

    def enter(self, id_: str, **fields: Any) -> None:
        """Enter somebody, or change what is entered."""
        self.records.setdefault(id_, {}).update(fields, changed_at=self.now)

    def transport(self) -> httpx2.MockTransport:
        """Answer requests."""
        return httpx2.MockTransport(self._answered)

    def event(self, id_: str) -> dict[str, Any]:
        """The body of the message that a change sends."""
        match self.dialect:
            case "frappe":
                return self._told(id_)["data"]
            case "personio":
                return {"id": f"evt-{id_}", "data": {"employee_id": int(id_)}}
            case _:
                return {"id": f"evt-{id_}", "data": {"id": id_}}

    def _answered(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        mapping = MAPPINGS[self.dialect]
        if request.url.path == mapping.listing:
            return httpx2.Response(200, json=self._listing(dict(request.url.params)))
        id_ = request.url.path.rpartition("/")[2]
        if id_ not in self.records:
            return httpx2.Response(404, json={"error": "there is none"})
        return httpx2.Response(200, json=self._told(id_))

    def _listing(self, query: Mapping[str, str]) -> dict[str, Any]:
        since = {
            "frappe": lambda: query["filters"].split('"')[-2],
            "personio": lambda: query["updated_since"].replace("T", " "),
            "generic": lambda: query["changed_since"].replace("T", " ").rstrip("Z"),
        }[self.dialect]()
        told = [
            id_
            for id_, record in sorted(self.records.items())
            if record["changed_at"] >= datetime.strptime(since, _MOMENT).replace(tzinfo=UTC)
        ]
        match self.dialect:
            case "frappe":
                entries = [
                    {"name": id_, "modified": self.records[id_]["changed_at"].strftime(_MOMENT)}
                    for id_ in told
                ]
                return {"data": entries}
            case "personio":
                first = int(query["offset"])
                page = told[first : first + int(query["limit"])]
                return {"success": True, "data": [self._told(id_)["data"] for id_ in page]}
            case _:
                moments = {id_: self.records[id_]["changed_at"].isoformat() for id_ in told}
                entries = [{"id": id_, "changed_at": moments[id_]} for id_ in told]
                return {"employees": entries}

    def _told(self, id_: str) -> dict[str, Any]:
        record = self.records[id_]
        return {
            "generic": self._generic,
            "personio": self._personio,
            "frappe": self._frappe,
        }[self.dialect](id_, record)

    def _generic(self, id_: str, record: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: record.get(name) for name in GENERIC.names}
        return _without({**told, "number": id_}, self.hidden)

    def _frappe(self, id_: str, record: Mapping[str, Any]) -> dict[str, Any]:
        told = {theirs: record.get(ours) for ours, theirs in FRAPPE.names.items()}
        moment = record["changed_at"].strftime(_MOMENT)
        told |= {"name": id_, "status": "Active", "modified": moment}
        return {"data": _without(told, self.hidden)}

    def _personio(self, id_: str, record: Mapping[str, Any]) -> dict[str, Any]:
        def inside(name: str, value: object) -> dict[str, Any]:
            return {"label": name, "value": value}

        boss, place = record.get("manager"), record.get("location")
        starts, ends = record.get("starts_on"), record.get("ends_on")
        attributes = {
            "id": inside("ID", int(id_)),
            "first_name": inside("First name", record.get("given_name")),
            "last_name": inside("Last name", record.get("family_name")),
            "email": inside("Email", record.get("work_email")),
            "position": inside("Position", record.get("title")),
            "department": inside("Department", None),
            "office": inside("Office", place and {"attributes": {"name": place}}),
            "supervisor": inside("Supervisor", boss and {"attributes": {"id": {"value": boss}}}),
            "hire_date": inside("Hire date", starts and f"{starts}T00:00:00+01:00"),
            "termination_date": inside("Termination date", ends and f"{ends}T00:00:00+01:00"),
            "status": inside("Status", "active"),
            "last_modified_at": inside("Last modified", record["changed_at"].isoformat()),
        }
        data = {"type": "Employee", "attributes": _without(attributes, self.hidden)}
        return {"success": True, "data": data}


def _without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}
