"""Leaving a company in Gusto, and coming back: the last day, the final pay, the first day again.

Gusto pays somebody out only where the process asks for it and a person has approved just that.
Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Final

from newel.base.errors import Forbidden, Invalid
from newel.connectors.answers import Answer
from newel.connectors.ensure import Ensured, ensured, removed
from newel.connectors.operation import operation
from newel.connectors.payroll_base import EMPLOYMENT_SCOPES, STALE_VERSION, on_its_version
from newel.connectors.payroll_contract import (
    API,
    CANCEL_TERMINATION,
    COMING_BACK,
    CREATE_REHIRE,
    EMPLOYEES,
    LEAVING,
    LEAVINGS,
    MOVE_TERMINATION,
    REHIRE,
    TERMINATE,
    TERMINATIONS,
    Employee,
    Rehire,
    Termination,
)
from newel.connectors.payroll_employees import GustoEmployees
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GustoLeaving", "Leaving"]

_SETTLE: Final = (0, 5, 30, 120)


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


class GustoLeaving(GustoEmployees):
    """The last days of employees, and their return."""

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
            ours=lambda _: "employee id",
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
            ours=lambda _: "employee id",
            create=create,
            settling=self.settling(*_SETTLE),
            what="rehire",
        )
        return self.reported(reached, self._account(person, employee))

    # Requests ----------------------------------------------------------------------------------

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
            ours=lambda _: "employee id",
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
