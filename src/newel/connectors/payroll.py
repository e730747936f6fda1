"""Payroll in Gusto: what employees are hired to do, are paid, and where they work.

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
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeVar

from newel.base.errors import Invalid
from newel.connectors.answers import Answer
from newel.connectors.ensure import Ensured, ensured
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.connectors.payroll_base import (
    JOB_SCOPES,
    PAY_SCOPES,
    SCOPES,
    STALE_VERSION,
    on_its_version,
)
from newel.connectors.payroll_contract import (
    ADDRESSES,
    API,
    CREATE_ADDRESS,
    CREATE_JOB,
    EMPLOYEES,
    JOBS,
    PAID,
    PAY,
    PAYS,
    POSITION,
    POSITIONS,
    SET_PAY,
    WORK_ADDRESS,
    WORK_ADDRESSES,
    Pay,
    Position,
    WorkAddress,
)
from newel.connectors.payroll_leaving import GustoLeaving, Leaving
from newel.domain.people import Person
from newel.domain.values import Effect

__all__ = ["Gusto", "Leaving", "PayUnit"]

_SETTLE: Final = (0, 5, 30, 120)
_Row = TypeVar("_Row")
PayUnit = Literal["Hour", "Week", "Month", "Year", "Paycheck"]


class Gusto(GustoLeaving):
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
            ours=lambda _: "employee id",
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
        needs=SCOPES,
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
            ours=lambda _: "employee id",
            create=create,
            settling=self.settling(*_SETTLE),
            what="work address",
        )
        return self._done(reached, reached.value.uuid)

    # Requests ----------------------------------------------------------------------------------

    def _done(self, reached: Ensured[_Row], identity: str) -> _Row:
        """Report what was done to an employee's record, and give it."""
        report(Effect(changed=reached.changed, external_id=identity, evidence=reached.evidence))
        return reached.value
