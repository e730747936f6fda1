"""HR systems that differ in their words only: a mapping says where a record has what newel reads.

    hr = MappedHr(name="personio", base_url="https://api.personio.de", token=…, mapping=PERSONIO)

An event is a hint here, too: its id of a person leads to the record, which is read. A system of
another shape needs a mapping and a test, not code. Paths are dotted: `data.attributes.email.value`.
Source: product document, §7.1; connectors document, §17.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar, Final, Unpack

from newel.base.errors import ContractDrift, InvalidInput, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Route
from newel.connectors.base import Check, Outside
from newel.connectors.contract import Shape
from newel.connectors.generic import API, HttpApi
from newel.connectors.hr import Employee, Hint, employee_of
from newel.connectors.http import Credential
from newel.connectors.operation import operation
from newel.connectors.paging import pages

__all__ = ["FRAPPE", "GENERIC", "PERSONIO", "Found", "HrMapping", "MappedHr"]

_OVERLAP: Final = timedelta(minutes=5)
_NOWHERE: Final = object()
_ANYTHING: Final = Shape(dict[str, Any])  # Any: read path by path

_READ: Final = Route("read-record", "GET", "/employees/{id}", API)
_LIST: Final = Route("list-changed", "GET", "/employees", API)


@dataclass(frozen=True, slots=True, kw_only=True)
class HrMapping:
    """Where a system keeps what newel reads.

    record, listing: paths of its interface. inside: where the record stands in its answer. names:
    our names of fields, and where each stands in the record; further ones come as `more`.
    query: of the listing; `{since}` is the moment in the format `moment`. listed, id, changed_at:
    where the listing stands in its answer, and in each entry the person's id and the moment of the
    last change. page: the parameters for the size of a page and the number of entries before it.
    hint, event: where a message has the person's id, and its own, if it has one.
    """

    record: str
    listing: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    inside: str = ""
    listed: str = ""
    id: str = "id"
    changed_at: str = "changed_at"
    moment: str = "%Y-%m-%dT%H:%M:%SZ"
    page: tuple[str, str, int] | None = None
    hint: str = "data.id"
    event: str = "id"
    headers: Mapping[str, str] = field(default_factory=dict)


GENERIC: Final = HrMapping(
    record="/employees/{id}",
    listing="/employees",
    query=MappingProxyType({"changed_since": "{since}"}),
    listed="employees",
    names=MappingProxyType(
        {
            "number": "number",
            "given_name": "given_name",
            "family_name": "family_name",
            "work_email": "work_email",
            "private_email": "private_email",
            "title": "title",
            "department": "department",
            "location": "location",
            "manager": "manager",
            "starts_on": "starts_on",
            "ends_on": "ends_on",
        }
    ),
)
"""Our own words: for an interface that a company writes itself before its HR data."""

PERSONIO: Final = HrMapping(
    record="/v1/company/employees/{id}",
    listing="/v1/company/employees",
    query=MappingProxyType({"updated_since": "{since}"}),
    moment="%Y-%m-%dT%H:%M:%S",
    inside="data.attributes",
    listed="data",
    id="attributes.id.value",
    changed_at="attributes.last_modified_at.value",
    page=("limit", "offset", 200),
    hint="data.employee_id",
    names=MappingProxyType(
        {
            "number": "id.value",
            "given_name": "first_name.value",
            "family_name": "last_name.value",
            "work_email": "email.value",
            "title": "position.value",
            "department": "department.value.attributes.name",
            "location": "office.value.attributes.name",
            "manager": "supervisor.value.attributes.id.value",
            "starts_on": "hire_date.value",
            "ends_on": "termination_date.value",
            "is_active": "status.value",
        }
    ),
)
"""Personio's first interface, as far as it is public. (Only simulated.)"""

FRAPPE: Final = HrMapping(
    record="/api/resource/Employee/{id}",
    listing="/api/resource/Employee",
    query=MappingProxyType(
        {
            "fields": '["name","modified"]',
            "filters": '[["modified",">=","{since}"]]',
            "limit_page_length": "0",
        }
    ),
    moment="%Y-%m-%d %H:%M:%S",
    inside="data",
    listed="data",
    id="name",
    changed_at="modified",
    hint="name",
    event="",
    names=MappingProxyType(
        {
            "number": "name",
            "given_name": "first_name",
            "family_name": "last_name",
            "work_email": "company_email",
            "private_email": "personal_email",
            "title": "designation",
            "department": "department",
            "location": "branch",
            "manager": "reports_to",
            "starts_on": "date_of_joining",
            "ends_on": "relieving_date",
            "is_active": "status",
        }
    ),
)
"""Frappe HR and ERPNext: the document type Employee and its webhooks. (Only simulated.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Hints that were found by asking; until: where the next question begins."""

    hints: tuple[Hint, ...]
    until: datetime


class MappedHr(HttpApi):
    """One company's HR data, behind an interface that a mapping describes."""

    title = "HR"
    routes: ClassVar[tuple[Route, ...]] = (_READ, _LIST)

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        token: SecretRef,
        mapping: HrMapping = GENERIC,
        names: Mapping[str, str] | None = None,
        credential: Credential | None = None,
        title: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an address and a bearer token, or a credential that reads the same secret.

        names: places that this company's records have elsewhere than the mapping says.
        """
        super().__init__(
            name=name,
            base_url=base_url,
            token=token,
            credential=credential,
            headers=mapping.headers,
            title=title,
            **outside,
        )
        self._mapping = mapping
        self._names = {**mapping.names, **(names or {})}
        self._read = Route(_READ.operation, "GET", mapping.record, API)
        self._list = Route(_LIST.operation, "GET", mapping.listing, API)

    async def probe(self) -> None:
        """Ask what has changed in this moment."""
        await self._page(self.clock.now(), 0)

    async def check(self) -> Check:
        """Prove the credential by what has changed in this moment."""
        try:
            await self.probe()
        except StepError as refused:
            missing = getattr(refused, "missing", None)
            return Check(
                ok=False,
                identity=self.name,
                missing=(missing,) if missing else (),
                notes=(refused.message,),
            )
        return Check(ok=True, identity=self.name)

    @operation(
        idempotency="read",
        natural_key="employee/{employee}",
        needs=("employees",),
        reads=(_READ.operation,),
        bucket=API,
        title="Read the HR record",
    )
    async def read_employee(self, employee: str) -> Employee | None:
        """Read a person's record; None if HR has none (any more)."""
        answer = await self.http.call(self._read, {"id": employee}, expect=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        record = _at(_ANYTHING.read(answer), self._mapping.inside)
        seen = {path: found for path in self._names.values() if (found := _at(record, path))
                is not _NOWHERE}  # fmt: skip
        return employee_of(
            employee, seen, self._names, system=self.title, operation=_READ.operation
        )

    @operation(
        idempotency="read",
        natural_key="changed/{since}",
        needs=("employees",),
        reads=(_LIST.operation,),
        bucket=API,
        title="Ask HR what has changed",
    )
    async def changed(self, since: datetime) -> Found:
        """Ask whose records have changed since a moment, five minutes before it included."""
        until, hints = self.clock.now(), list[Hint]()

        async def read(number: int) -> tuple[list[Any], int | None]:  # Any: as `_page` has it
            entries = await self._page(since - _OVERLAP, number)
            page = self._mapping.page
            return entries, None if page is None or len(entries) < page[2] else number + 1

        async for entries in pages(_LIST.operation, read, 0):
            hints.extend(self._hints_of(entries))
        return Found(hints=tuple(hints), until=max(since, until))

    def hints(self, document: object) -> tuple[Hint, ...]:
        """Give whose record a message is about; raises InvalidInput."""
        person = _at(document, self._mapping.hint)
        event = _at(document, self._mapping.event) if self._mapping.event else ""
        if not isinstance(person, str | int) or not isinstance(event, str | int):
            raise InvalidInput({self._mapping.hint: "names nobody"})
        return (Hint(event=str(event), employee=str(person), kind="updated"),)

    async def _page(self, since: datetime, number: int) -> list[Any]:  # Any: read path by path
        moment = since.astimezone(UTC).strftime(self._mapping.moment)
        query = {
            name: text.replace("{since}", moment) for name, text in self._mapping.query.items()
        }
        if self._mapping.page is not None:
            size, before, most = self._mapping.page
            query |= {size: str(most), before: str(number * most)}
        answer = _ANYTHING.read(await self.http.call(self._list, query=query))
        entries = _at(answer, self._mapping.listed)
        if not isinstance(entries, list):
            raise ContractDrift(
                "The answer has no list of changed records.",
                expected=f"{self._mapping.listed}: list",
                seen=f"{self._mapping.listed}: {type(entries).__name__}",
                operation=_LIST.operation,
            )
        return entries

    def _hints_of(self, entries: list[Any]) -> Iterator[Hint]:  # Any: read path by path
        for entry in entries:
            person = _at(entry, self._mapping.id)
            moment = _at(entry, self._mapping.changed_at)
            if not isinstance(person, str | int) or not isinstance(moment, str | int):
                raise ContractDrift(
                    "A changed record tells neither whose it is nor since when.",
                    expected=f"{self._mapping.id}: str, {self._mapping.changed_at}: str",
                    seen=f"{type(person).__name__}, {type(moment).__name__}",
                    operation=_LIST.operation,
                )
            yield Hint(event=f"{person}/{moment}", employee=str(person), kind="updated")


def _at(document: Any, path: str) -> Any:  # Any: JSON
    """Read a dotted place; None where null stands on the way, `_NOWHERE` where it leads nowhere."""
    for name in path.split(".") if path else ():
        if document is None:
            return None
        if not isinstance(document, dict) or name not in document:
            return _NOWHERE
        document = document[name]
    return document
