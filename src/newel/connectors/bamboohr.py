"""BambooHR: where people's employment is entered, and so where runs come from.

newel reads; it writes only where a process asks for it. What tells that a record has changed stands
in `bamboohr_events`.
Source: connectors document, §17.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Final

from newel.base.errors import ContractDrift, Invalid, OwnershipConflict
from newel.connectors.bamboohr_contract import (
    ADD_ROW,
    API,
    CREATE_EMPLOYEE,
    DIRECTORY,
    EMPLOYEE,
    EVERYBODY,
    RECORD,
    ROWS,
    TABLE,
)
from newel.connectors.bamboohr_events import BambooHREvents, Changes, Shelf, Subscription
from newel.connectors.base import Holding, marker_of, names_of
from newel.connectors.ensure import Exists, ensured
from newel.connectors.hr import Employee, employee_of
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.domain.people import Person
from newel.domain.values import Account, Effect

__all__ = ["BambooHR", "Changes", "Row", "Shelf", "Subscription"]

_SETTLE: Final = (0, 5, 30)
_FIRST_COLUMN: Final = {"compensation": "startDate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a person's history. on: the day from which it counts."""

    employee: str
    table: str
    on: date


@dataclass(frozen=True, slots=True)
class _Listed:
    """Somebody in the directory. email: empty where HR has entered none."""

    id: str
    email: str


class BambooHR(BambooHREvents):
    """One company at BambooHR."""

    # Reading -----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="employee/{employee}",
        needs=("employees",),
        reads=(EMPLOYEE.operation,),
        bucket=API,
        title="Read the HR record",
    )
    async def read_employee(self, employee: str) -> Employee | None:
        """Read a person's record; None if HR has none (any more)."""
        query = {"fields": ",".join(self._names.values())}
        answer = await self.http.call(
            EMPLOYEE, {"id": employee}, query=query, expect=(HTTPStatus.NOT_FOUND,)
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        record = RECORD.read(answer)
        return employee_of(
            str(record.get("id") or employee),
            record,
            self._names,
            system=self.title,
            operation=EMPLOYEE.operation,
        )

    @operation(
        idempotency="read",
        natural_key="employee/{person.email}",
        needs=("employee_directory",),
        reads=(DIRECTORY.operation,),
        bucket=API,
        title="Look up the HR record",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the record with the person's work address."""
        found = await self._listed(person)
        return None if found is None else self._account(person, found)

    @operation(
        idempotency="read",
        natural_key="employee/{person.email}",
        needs=("employee_directory",),
        reads=(DIRECTORY.operation,),
        bucket=API,
        title="Look for a second HR record",
    )
    async def doubles(self, person: Person) -> tuple[Account, ...]:
        """Give every record with the person's work address; there should be one."""
        return tuple(self._account(person, each) for each in await self._all_of(person))

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give everybody's record, also of those who have left; the directory shows no marks."""
        current = {each.id for each in await self._directory(is_current=True)}
        for each in await self._directory(is_current=False):
            account = Account(
                system=self.name,
                id=each.id,
                handle=each.email or each.id,
                email=each.email,
                state="active" if each.id in current else "suspended",
            )
            yield Holding(account=account, entitlements=(self.base_entitlement,))

    # Writing -----------------------------------------------------------------------------------

    @operation(
        natural_key="employee/{person.email}",
        idempotency="append",
        undo="none: HR deletes records, not newel",
        reversible="with_loss",
        bucket=API,
        needs=("employees.write", "employee_directory", "employees"),
        spec=(CREATE_EMPLOYEE.operation,),
        reads=(DIRECTORY.operation, EMPLOYEE.operation),
        settle=_SETTLE,
        doubles="doubles",
        title="Enter the person in HR",
    )
    async def ensure_employee(self, person: Person, *, starts_on: date | None = None) -> Account:
        """Enter a person, or find that they are entered, by their employee number."""
        reached = await ensured(
            look=lambda: self._own(person),
            ours=evidence_of,
            create=lambda: self._create(person, starts_on),
            settling=self.settling(*_SETTLE),
            what="HR record",
        )
        return self.reported(reached, self._account(person, reached.value.value))

    @operation(
        natural_key="row/{employee}/{table}/{on}",
        idempotency="append",
        undo="none: HR corrects rows, not newel",
        reversible="with_loss",
        bucket=API,
        needs=("employees", "employees.write"),
        spec=(ADD_ROW.operation,),
        reads=(ROWS.operation,),
        settle=_SETTLE,
        title="Add to the HR history",
    )
    async def ensure_row(
        self, employee: str, table: str, on: date, fields: Mapping[str, str]
    ) -> Row:
        """Add a row to a table of a person's history, unless it is there with these contents."""
        column = _FIRST_COLUMN.get(table, "date")
        wanted = {column: on.isoformat(), **fields}
        path = {"id": employee, "table": table}

        async def look() -> bool | None:
            rows = TABLE.read(await self.http.call(ROWS, path))
            return any(all(row.get(n) == v for n, v in wanted.items()) for row in rows) or None

        async def add() -> bool:
            await self.http.call(ADD_ROW, path, body=wanted)
            return True

        reached = await ensured(
            look=look,
            ours=lambda _: "same contents",
            create=add,
            settling=self.settling(*_SETTLE),
            what="row",
        )
        report(Effect(changed=reached.changed, external_id=employee, evidence=reached.evidence))
        return Row(employee=employee, table=table, on=on)

    # Requests ----------------------------------------------------------------------------------

    async def _own(self, person: Person) -> Owned[str] | None:
        """Find the person's own record; raises OwnershipConflict if it is not known to be."""
        identity = await self._listed(person)
        if identity is None:
            return None
        column = self._names["number"]
        answer = await self.http.call(EMPLOYEE, {"id": identity}, query={"fields": column})
        number = str(RECORD.read(answer).get(column) or "")
        if number == marker_of(person):
            return Owned(identity, "marker")
        if number:
            raise OwnershipConflict(
                "The record with this address has another employee number.",
                external_id=identity,
                evidence="marker of another subject",
            )
        account = self._account(person, identity)
        return Owned(identity, await self.whose(person, account, "It has no employee number."))

    async def _listed(self, person: Person) -> str | None:
        """Find the id of the record with the person's work address in the directory."""
        found = await self._all_of(person)
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one record has this address.", evidence=f"{len(found)} hits"
            )
        return found[0] if found else None

    async def _all_of(self, person: Person) -> list[str]:
        """Find the ids of all records with the person's work address."""
        everybody = await self._directory(is_current=False)
        return [each.id for each in everybody if each.email.lower() == person.email.lower()]

    async def _directory(self, *, is_current: bool) -> list[_Listed]:
        """Read the directory; an empty one is none."""
        query = {"onlyCurrent": "true" if is_current else "false"}
        answer = await self.http.call(DIRECTORY, query=query, expect=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return []
        return [
            _Listed(id=str(each.get("id")), email=str(each.get("workEmail") or ""))
            for each in EVERYBODY.read(answer).employees
        ]

    async def _create(self, person: Person, starts_on: date | None) -> Owned[str]:
        given, family = names_of(person)
        body = {
            "employeeNumber": marker_of(person),
            "firstName": given,
            "lastName": family,
            "workEmail": person.email,
        }
        if starts_on is not None:
            body["hireDate"] = starts_on.isoformat()
        try:
            answer = await self.http.call(CREATE_EMPLOYEE, body=body)
        except Invalid as refused:
            # It says the same of a taken address and of a wrong value: the directory decides.
            if refused.status != HTTPStatus.CONFLICT or await self._listed(person) is None:
                raise
            raise Exists from refused
        identity = answer.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not identity:
            raise ContractDrift(
                "BambooHR no longer says where the new record is.",
                expected="a Location header",
                seen="none",
                operation=CREATE_EMPLOYEE.operation,
            )
        return Owned(identity, "created")

    def _account(self, person: Person, identity: str) -> Account:
        return Account(
            system=self.name,
            id=identity,
            handle=person.email,
            email=person.email,
            state="active",
        )
