"""ServiceNow: tickets of newel as its incidents, by the Table API.

Mark: the correlation id, made of newel's incident; it is written with the incident and
looked up before every create. What newel says later stands in work notes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Unpack, cast

from newel import Forbidden, Invalid, SecretRef, StepError
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    sanitised,
)
from newel.connectors.auth import BasicCredential
from newel.connectors.base import Check, Outside
from newel.connectors.contract import Shape
from newel.connectors.generic import API, HttpApi
from newel.connectors.trackers.base import Ticket, TicketRef
from newel.connectors.trackers.issues import IssueTracker, body_of

_TABLE: Final = "/api/now/table"
_INCIDENTS: Final = f"{_TABLE}/incident"

LIST: Final = Route("incident.list", "GET", _INCIDENTS, API)
READ: Final = Route("incident.read", "GET", f"{_INCIDENTS}/{{id}}", API)
NOTES: Final = Route("notes.list", "GET", f"{_TABLE}/sys_journal_field", API)
CREATE: Final = Route("incident.create", "POST", _INCIDENTS, API)
UPDATE: Final = Route(
    "incident.update", "PATCH", f"{_INCIDENTS}/{{id}}", API, repeatable=True
)

# The states of an instance as it is delivered; yours may have others.
IN_PROGRESS: Final = "2"
RESOLVED: Final = "6"
CLOSED: Final = "7"

_FIELDS: Final = "sys_id,number,state,description,correlation_id"
_PAGE: Final = 100
_MOST_PAGES: Final = 1000


@dataclass(frozen=True)
class Incident:
    """An incident of ServiceNow; `correlation_id` is our mark on it."""

    sys_id: str
    number: str
    state: str
    description: str
    correlation_id: str


@dataclass(frozen=True)
class Note:
    """A work note."""

    value: str


ONE: Final = Shape(Incident, at="result")
MANY: Final = Shape(tuple[Incident, ...], at="result")
SAID: Final = Shape(tuple[Note, ...], at="result")


class ServiceNow(HttpApi):
    """One instance of ServiceNow."""

    title = "ServiceNow"
    routes = (LIST, READ, NOTES, CREATE, UPDATE)

    def __init__(
        self,
        *,
        user: str,
        password: SecretRef,
        base_url: str,
        name: str = "servicenow",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a user with the role `itil`, and the instance's address."""
        super().__init__(
            name=name,
            base_url=base_url,
            token=password,
            credential=BasicCredential(user, password),
            **outside,
        )
        self.base_url = base_url.rstrip("/")

    async def probe(self) -> None:
        """Read one incident."""
        await self.http.call(LIST, query={"sysparm_limit": "1"})

    async def check(self) -> Check:
        """Prove the user by reading; who may not read may be shown an empty list."""
        query = {"sysparm_limit": "1", "sysparm_fields": _FIELDS}
        try:
            seen = MANY.read(await self.http.call(LIST, query=query))
        except Forbidden:
            return Check(ok=False, identity=self.name, missing=("itil",))
        note = "No incident is to be seen: either there is none, or the user may not."
        notes = () if seen else (note,)
        return Check(ok=True, identity=self.name, have=("itil",), notes=notes)

    async def marked(self, mark: str) -> tuple[Incident, ...]:
        """Find the incidents with a mark, the oldest first."""
        query = {
            "sysparm_query": f"correlation_id={mark}^ORDERBYsys_created_on",
            "sysparm_fields": _FIELDS,
            "sysparm_limit": str(_PAGE),
        }
        found = MANY.read(await self.http.call(LIST, query=query))
        return tuple(each for each in found if each.correlation_id == mark)

    async def incident(self, identity: str) -> Incident:
        """Read an incident."""
        query = {"sysparm_fields": _FIELDS}
        return ONE.read(await self.http.call(READ, {"id": identity}, query=query))

    async def create(self, fields: dict[str, str]) -> Incident:
        """Open an incident; its answer shows the mark, or it is refused as drift."""
        query = {"sysparm_fields": _FIELDS}
        return ONE.read(await self.http.call(CREATE, query=query, body=fields))

    async def update(self, identity: str, fields: dict[str, str]) -> None:
        """Change an incident, or add a work note."""
        await self.http.call(UPDATE, {"id": identity}, body=fields)

    async def notes(self, identity: str) -> AsyncIterator[str]:
        """Give the work notes of an incident, page by page."""
        query = {
            "sysparm_query": f"element_id={identity}^element=work_notes",
            "sysparm_limit": str(_PAGE),
        }
        seen = 0
        for _ in range(_MOST_PAGES):
            query["sysparm_offset"] = str(seen)
            page = SAID.read(await self.http.call(NOTES, query=query))
            for note in page:
                yield note.value
            seen += len(page)
            if not page:
                return

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer: its sentence stands in `error`, the status says the rest."""
        error = answer.fields.get("error")
        told = cast("dict[str, object]", error) if isinstance(error, dict) else {}
        said = sanitised(told.get("message"))
        if answer.status == 403 and answer.route.is_mutating:
            text = f"The user may not do this: {said}"
            return Forbidden(text, missing="itil", **facts_of(answer))
        if answer.status == 404 and answer.route.is_mutating:
            gone = {"incident": "is not known"}
            return Invalid(f"It is gone: {said}", fields=gone, **facts_of(answer))
        return judged_by_status(answer, said=said)


class ServiceNowIncidents(IssueTracker):
    """The incidents that newel opens, for one group of agents."""

    def __init__(
        self,
        *,
        servicenow: ServiceNow,
        group: str = "",
        close_code: str = "Solution provided",
    ) -> None:
        """Make it.

        group: the `sys_id` of who gets them; empty: ServiceNow's own rules assign.
        close_code: one of those that your instance has for incidents.
        """
        self.channel = f"{servicenow.name}:{group or 'incidents'}"
        self.credential = servicenow.credential
        self.hosts = servicenow.hosts
        self.system = servicenow.name
        self._servicenow = servicenow
        self._group = group
        self._close_code = close_code

    async def _marked(self, incident: str) -> list[TicketRef]:
        found = await self._servicenow.marked(_mark(incident))
        return [self._ref(each) for each in found]

    async def _open(self, ticket: Ticket) -> TicketRef:
        fields = {
            "short_description": ticket.title,
            "description": body_of(ticket),
            "correlation_id": _mark(ticket.incident),
            "correlation_display": "newel",
        }
        if self._group:
            fields["assignment_group"] = self._group
        return self._ref(await self._servicenow.create(fields))

    async def _text(self, ref: TicketRef) -> str:
        return (await self._servicenow.incident(ref.key)).description

    async def _rewrite(self, ref: TicketRef, text: str) -> None:
        await self._servicenow.update(ref.key, {"description": text})

    async def _comments(self, ref: TicketRef) -> list[str]:
        return [text async for text in self._servicenow.notes(ref.key)]

    async def _say(self, ref: TicketRef, text: str) -> None:
        await self._servicenow.update(ref.key, {"work_notes": text})

    async def _is_open(self, ref: TicketRef) -> bool:
        state = (await self._servicenow.incident(ref.key)).state
        return state not in {RESOLVED, CLOSED}

    async def _switch(self, ref: TicketRef, *, is_open: bool) -> None:
        fields = {"state": IN_PROGRESS}
        if not is_open:
            fields = {
                "state": RESOLVED,
                "close_code": self._close_code,
                "close_notes": "The system answers again; newel has gone on.",
            }
        await self._servicenow.update(ref.key, fields)

    def _ref(self, found: Incident) -> TicketRef:
        url = f"{self._servicenow.base_url}/incident.do?sys_id={found.sys_id}"
        return TicketRef(channel=self.channel, key=found.sys_id, url=url)


def _mark(incident: str) -> str:
    return f"newel:{incident}"
