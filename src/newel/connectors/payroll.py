"""Payroll in Gusto: employees, what they are hired to do and paid, when they leave.

Nothing about an employee is unique and no request has an idempotency key, so a second POST makes
a second employee. What stands against it: the look-up before, at the settle times after a lost
answer, and the store's lock on the effect, by which two runs about one person never stand
between look-up and create at once.

Money: nothing here runs a payroll by itself. What changes pay, or lets Gusto pay somebody out, asks
for an approval. Social security numbers and dates of birth are left to self-onboarding.
Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from http import HTTPStatus
from typing import Final, Literal, TypeVar

from newel.base.errors import (
    Forbidden,
    Invalid,
)
from newel.connectors.answers import Answer
from newel.connectors.ensure import Ensured, ensured, removed
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.payroll_contract import (
    ADDRESSES,
    API,
    CANCEL_TERMINATION,
    COMING_BACK,
    CREATE_ADDRESS,
    CREATE_JOB,
    CREATE_REHIRE,
    EMPLOYEES,
    JOBS,
    LEAVING,
    LEAVINGS,
    MOVE_TERMINATION,
    PAID,
    PAY,
    PAYS,
    POSITION,
    POSITIONS,
    REHIRE,
    SET_PAY,
    TERMINATE,
    TERMINATIONS,
    WORK_ADDRESS,
    WORK_ADDRESSES,
    Employee,
    Pay,
    Position,
    Rehire,
    Termination,
    WorkAddress,
)
from newel.connectors.payroll_employees import (
    EMPLOYMENT_SCOPES,
    JOB_SCOPES,
    PAY_SCOPES,
    STALE_VERSION,
    GustoEmployees,
    on_its_version,
)
from newel.domain.people import Person
from newel.domain.values import Account, Effect

__all__ = ["Gusto", "Leaving", "PayUnit"]

_SETTLE: Final = (0, 5, 30, 120)
_SCOPES: Final = ("employees:read", "employees:manage")
_Row = TypeVar("_Row")
PayUnit = Literal["Hour", "Week", "Month", "Year", "Paycheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """When somebody leaves. with_final_pay: whether Gusto is to pay them out."""

    employee: str
    on: date
    with_final_pay: bool = False


_on_termination: Final = partial(
    operation,
    natural_key="termination/{person.email}",
    bucket=API,
    needs=EMPLOYMENT_SCOPES,
    reads=(EMPLOYEES.operation, TERMINATIONS.operation),
    settle=_SETTLE,
)


class Gusto(GustoEmployees):
    """One company at Gusto: employees, positions, pay, leaving and coming back."""

    # Positions and pay -------------------------------------------------------------------------

    @operation(
        natural_key="job/{person.email}/{title}/{starts_on}",
        idempotency="append",
        undo="none: payroll keeps what somebody was hired to do",
        reversible="with_loss",
        bucket=API,
        needs=JOB_SCOPES,
        spec=(CREATE_JOB.operation,),
        reads=(EMPLOYEES.operation, JOBS.operation),
        settle=_SETTLE,
        title="Enter the position in payroll",
    )
    async def set_job(self, person: Person, title: str, starts_on: date) -> Position:
        """Enter what somebody is hired to do from a day on, or find that it is entered."""
        employee = await self.known(person)
        path: dict[str, object] = {"employee": employee.uuid}
        day = starts_on.isoformat()

        async def look() -> Position | None:
            held = POSITIONS.read(await self.http.call(JOBS, path))
            return next((p for p in held if (p.title, p.hire_date) == (title, day)), None)

        async def create() -> Position:
            body = {"title": title, "hire_date": day}
            return POSITION.read(await self.http.call(CREATE_JOB, path, body=body))

        reached = await ensured(
            look=look,
            ours=lambda _: "derived",
            create=create,
            settling=self.settling(*_SETTLE),
            what="position",
        )
        return self._done(reached, reached.value.uuid)

    @operation(
        natural_key="pay/{position}",
        idempotency="put",
        undo="none: what was paid before is not kept",
        reversible="with_loss",
        moves_money=True,
        approval="pay",
        bucket=API,
        needs=PAY_SCOPES,
        spec=(SET_PAY.operation,),
        reads=(PAY.operation,),
        title="Set the pay",
    )
    async def set_compensation(
        self, position: str, rate: str, unit: PayUnit, *, flsa_status: str = "Exempt"
    ) -> Pay:
        """Set what is paid for a position, by its id. rate: a decimal number, such as 85000.00."""
        try:
            amount = Decimal(rate)
        except InvalidOperation:
            raise Invalid("The rate is no number.", fields={"rate": "is no number"}) from None
        wanted = {
            "rate": f"{amount:.2f}",
            "payment_unit": unit,
            "flsa_status": flsa_status,
        }

        async def look() -> Pay | None:
            held = PAYS.read(await self.http.call(PAY, {"job": position}))
            return held[-1] if held else None

        async def change(found: Pay, fields: Mapping[str, object]) -> Pay:
            path: dict[str, object] = {"compensation": found.uuid}

            async def send(version: str) -> Answer:
                body = {"version": version, **wanted, **fields}
                return await self.http.call(SET_PAY, path, body=body, expect=STALE_VERSION)

            async def fresh() -> str:
                return (await look() or found).version

            return PAID.read(await on_its_version(send, fresh, found.version))

        reached = await ensured(
            look=look,
            ours=lambda _: "position id",
            create=None,
            differs=lambda found: {n: v for n, v in wanted.items() if getattr(found, n) != v},
            change=change,
            settling=self.settling(0),
            what="compensation",
        )
        return self._done(reached, reached.value.uuid)

    @operation(
        natural_key="work_address/{person.email}/{starts_on}",
        idempotency="append",
        undo="none: payroll keeps where somebody has worked",
        reversible="with_loss",
        bucket=API,
        needs=_SCOPES,
        spec=(CREATE_ADDRESS.operation,),
        reads=(EMPLOYEES.operation, ADDRESSES.operation),
        settle=_SETTLE,
        title="Enter the place of work in payroll",
    )
    async def set_work_address(self, person: Person, location: str, starts_on: date) -> WorkAddress:
        """Enter where somebody works from a day on, by the id of the company's location."""
        employee = await self.known(person)
        path: dict[str, object] = {"employee": employee.uuid}
        wanted = {"location_uuid": location, "effective_date": starts_on.isoformat()}

        async def look() -> WorkAddress | None:
            held = WORK_ADDRESSES.read(await self.http.call(ADDRESSES, path))
            return next(
                (a for a in held if all(getattr(a, n) == v for n, v in wanted.items())), None
            )

        async def create() -> WorkAddress:
            return WORK_ADDRESS.read(await self.http.call(CREATE_ADDRESS, path, body=wanted))

        reached = await ensured(
            look=look,
            ours=lambda _: "derived",
            create=create,
            settling=self.settling(*_SETTLE),
            what="work address",
        )
        return self._done(reached, reached.value.uuid)

    # Leaving and coming back -------------------------------------------------------------------

    @_on_termination(
        idempotency="natural",
        revokes="{system}:account",
        undo="cancel_termination",
        reversible="until:the last day",
        spec=(TERMINATE.operation, MOVE_TERMINATION.operation),
        title="Enter the last day in payroll",
    )
    async def terminate(self, person: Person, on: date) -> Leaving:
        """Enter somebody's last day, without paying them out.

        Some states of the USA require final wages within 24 hours: whoever runs payroll must know.
        """
        return await self._leave(person, on, with_final_pay=False)

    @_on_termination(
        idempotency="natural",
        revokes="{system}:account",
        undo="cancel_termination",
        reversible="until:the last day",
        moves_money=True,
        approval="final pay",
        spec=(TERMINATE.operation, MOVE_TERMINATION.operation),
        title="Enter the last day in payroll, and pay out",
    )
    async def terminate_with_final_pay(self, person: Person, on: date) -> Leaving:
        """Enter somebody's last day, and let Gusto pay them out; what was paid stays paid."""
        return await self._leave(person, on, with_final_pay=True)

    @_on_termination(
        idempotency="put",
        grants="{system}:account",
        undo="none: a last day is entered anew, with its date",
        reversible="yes",
        spec=(CANCEL_TERMINATION.operation,),
        title="Take the last day out of payroll",
    )
    async def cancel_termination(self, person: Person) -> Account:
        """Let somebody stay after all; raises Forbidden(blocked) when the day has passed."""
        employee = await self.known(person)
        reached = await removed(
            look=lambda: self._termination(employee),
            ours=lambda _: "derived",
            remove=lambda _: self._cancel(employee),
            settling=self.settling(*_SETTLE),
            what="termination",
        )
        stays = Ensured(employee, changed=reached.changed, evidence=reached.evidence)
        return self.reported(stays, self._account(person, employee))

    @operation(
        natural_key="rehire/{person.email}",
        idempotency="natural",
        grants="{system}:account",
        undo="none: a new last day is entered by terminate",
        reversible="with_loss",
        bucket=API,
        needs=EMPLOYMENT_SCOPES,
        spec=(CREATE_REHIRE.operation,),
        reads=(EMPLOYEES.operation, REHIRE.operation),
        settle=_SETTLE,
        title="Take them back into payroll",
    )
    async def rehire(
        self, person: Person, on: date, location: str, *, reports_new_hire: bool = True
    ) -> Account:
        """Take somebody who has left back from a day on.

        reports_new_hire: Gusto files the report to the state that is due for a new hire.
        """
        employee = await self.known(person)
        path: dict[str, object] = {"employee": employee.uuid}

        async def look() -> Rehire | None:
            answer = await self.http.call(REHIRE, path)
            planned = answer.status != HTTPStatus.NO_CONTENT
            return COMING_BACK.read(answer) if planned else None

        async def create() -> Rehire:
            body = {
                "effective_date": on.isoformat(),
                "file_new_hire_report": reports_new_hire,
                "work_location_uuid": location,
            }
            return COMING_BACK.read(await self.http.call(CREATE_REHIRE, path, body=body))

        reached = await ensured(
            look=look,
            ours=lambda _: "derived",
            create=create,
            settling=self.settling(*_SETTLE),
            what="rehire",
        )
        return self.reported(reached, self._account(person, employee))

    # Requests ----------------------------------------------------------------------------------

    def _done(self, reached: Ensured[_Row], identity: str) -> _Row:
        """Report what was done to an employee's record, and give it."""
        report(Effect(changed=reached.changed, external_id=identity, evidence=reached.evidence))
        return reached.value

    async def _termination(self, employee: Employee) -> Termination | None:
        path = {"employee": employee.uuid}
        held = LEAVINGS.read(await self.http.call(TERMINATIONS, path))
        return held[-1] if held else None

    async def _leave(self, person: Person, on: date, *, with_final_pay: bool) -> Leaving:
        employee = await self.known(person)
        path: dict[str, object] = {"employee": employee.uuid}
        wanted = {"effective_date": on.isoformat(), "run_termination_payroll": with_final_pay}

        async def create() -> Termination:
            return LEAVING.read(await self.http.call(TERMINATE, path, body=wanted))

        async def change(found: Termination, _: Mapping[str, object]) -> Termination:
            async def send(version: str) -> Answer:
                body = {"version": version, **wanted}
                return await self.http.call(MOVE_TERMINATION, path, body=body, expect=STALE_VERSION)

            async def fresh() -> str:
                return (await self._termination(employee) or found).version

            return LEAVING.read(await on_its_version(send, fresh, found.version))

        async def look() -> Termination | None:
            found = await self._termination(employee)
            # Of somebody who has come back, the former last day says nothing.
            return None if found and found.active and not employee.terminated else found

        reached = await ensured(
            look=look,
            ours=lambda _: "derived",
            create=create,
            differs=lambda found: {n: v for n, v in wanted.items() if getattr(found, n) != v},
            change=change,
            settling=self.settling(*_SETTLE),
            what="termination",
        )
        account = self._account(person, employee)
        self.reported(reached, account, access="revoked")
        return Leaving(employee=employee.uuid, on=on, with_final_pay=with_final_pay)

    async def _cancel(self, employee: Employee) -> None:
        try:
            await self.http.call(
                CANCEL_TERMINATION, {"employee": employee.uuid}, expect=(HTTPStatus.NOT_FOUND,)
            )
        except Invalid as refused:
            raise Forbidden(
                "The last day has passed: the employee can only be rehired.",
                reason="blocked",
                operation=CANCEL_TERMINATION.operation,
            ) from refused
