"""Employees in Gusto: found, added, invited, withdrawn. What they do and earn is in `payroll`.

Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from newel.base.errors import Forbidden, Invalid, OwnershipConflict
from newel.connectors.answers import Answer
from newel.connectors.base import Holding, names_of
from newel.connectors.ensure import ensured, removed
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.connectors.paging import pages
from newel.connectors.payroll_base import SCOPES, STALE_VERSION, GustoBase, on_its_version
from newel.connectors.payroll_contract import (
    API,
    CREATE_EMPLOYEE,
    DELETE_EMPLOYEE,
    EMPLOYEE,
    EMPLOYEES,
    INVITED,
    MOVE_ONBOARDING,
    ONBOARDING,
    ONE,
    PAGES,
    STATE,
    UPDATE_EMPLOYEE,
    Employee,
    last_page,
)
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GustoEmployees"]

_SETTLE: Final = (0, 5, 30, 120)
_PAGE: Final = 100


class GustoEmployees(GustoBase):
    """The company's employees, as far as they themselves go."""

    @operation(
        idempotency="read",
        natural_key="employee/{person.email}",
        needs=("employees:read",),
        reads=(EMPLOYEES.operation,),
        bucket=API,
        title="Look up the employee in payroll",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the employee with the person's work address."""
        found = await self._employee(person)
        return None if found is None else self._account(person, found)

    @operation(
        idempotency="read",
        natural_key="employee/{person.email}",
        needs=("employees:read",),
        reads=(EMPLOYEES.operation,),
        bucket=API,
        title="Look for a second employee",
    )
    async def doubles(self, person: Person) -> tuple[Account, ...]:
        """Give every employee with the person's work address; there should be one."""
        everybody = self._employees(search_term=person.name)
        return tuple(
            [self._account(person, each) async for each in everybody if each.is_at(person.email)]
        )

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give all employees, also those who have left; Gusto holds no marks."""
        async for employee in self._employees():
            address = employee.work_email or ""
            account = Account(
                system=self.name,
                id=employee.uuid,
                handle=address or employee.uuid,
                email=address,
                state="suspended" if employee.terminated else "active",
            )
            yield Holding(account=account, entitlements=(self.base_entitlement,))

    async def at_address(self, person: Person) -> Holding | None:
        """Look through all employees for a work address, whatever they are called.

        Gusto holds no marks.
        """
        found = await self._of_address(person.email)
        return None if found is None else Holding(account=self._account(person, found))

    @operation(
        natural_key="employee/{person.email}",
        idempotency="append",
        grants="{system}:account",
        undo="withdraw",
        reversible="until:onboarding is completed",
        sends_email="person",
        bucket=API,
        needs=SCOPES,
        spec=(CREATE_EMPLOYEE.operation,),
        reads=(EMPLOYEES.operation,),
        settle=_SETTLE,
        doubles="doubles",
        title="Add to payroll",
    )
    async def ensure_employee(
        self, person: Person, *, private_email: str = "", self_onboarding: bool = False
    ) -> Account:
        """Add them to payroll, or find that they are in it.

        self_onboarding: Gusto asks the person for bank and tax data by e-mail, at the private
        address if there is one.
        """
        reached = await ensured(
            look=lambda: self._own(person),
            ours=evidence_of,
            create=lambda: self._create(person, private_email, self_onboarding=self_onboarding),
            settling=self.settling(*_SETTLE),
            what="employee",
        )
        return self.reported(reached, self._account(person, reached.value.value))

    @operation(
        natural_key="employee/{person.email}",
        idempotency="put",
        revokes="{system}:account",
        undo="ensure_employee",
        reversible="with_loss",
        bucket=API,
        needs=SCOPES,
        spec=(DELETE_EMPLOYEE.operation,),
        reads=(EMPLOYEES.operation,),
        settle=_SETTLE,
        title="Withdraw from payroll",
    )
    async def withdraw(self, person: Person) -> Account:
        """Take them out of payroll while they are still being onboarded."""
        reached = await removed(
            look=lambda: self._own(person),
            ours=evidence_of,
            remove=lambda own: self._delete(own.value),
            settling=self.settling(*_SETTLE),
            what="employee",
        )
        gone = self.absent(person, reached.value.value.uuid if reached.value else "")
        return self.reported(reached, gone, access="revoked")

    @operation(
        natural_key="employee/{person.email}",
        idempotency="put",
        undo="none: what was before is not kept",
        reversible="with_loss",
        bucket=API,
        needs=("employees:read", "employees:write"),
        spec=(UPDATE_EMPLOYEE.operation,),
        reads=(EMPLOYEES.operation, EMPLOYEE.operation),
        settle=_SETTLE,
        title="Update the employee in payroll",
    )
    async def update(
        self, person: Person, *, private_email: str = "", preferred_name: str = ""
    ) -> Account:
        """Set the private address or the preferred name, on the version that was read."""
        wanted = {"email": private_email, "preferred_first_name": preferred_name}
        given = {name: value for name, value in wanted.items() if value}

        async def change(own: Owned[Employee], fields: Mapping[str, object]) -> Owned[Employee]:
            found = own.value
            path: dict[str, object] = {"employee": found.uuid}

            async def send(version: str) -> Answer:
                body = {"version": version, **fields}
                return await self.http.call(UPDATE_EMPLOYEE, path, body=body, expect=STALE_VERSION)

            async def fresh() -> str:
                return ONE.read(await self.http.call(EMPLOYEE, path)).version

            return replace(own, value=ONE.read(await on_its_version(send, fresh, found.version)))

        reached = await ensured(
            look=lambda: self._own(person),
            ours=evidence_of,
            create=None,
            differs=lambda own: {n: v for n, v in given.items() if getattr(own.value, n) != v},
            change=change,
            settling=self.settling(0),
            what="employee",
        )
        return self.reported(reached, self._account(person, reached.value.value))

    @operation(
        natural_key="onboarding/{person.email}",
        idempotency="natural",
        undo="none: an invitation cannot be called back",
        reversible="no",
        sends_email="person",
        bucket=API,
        needs=SCOPES,
        spec=(MOVE_ONBOARDING.operation,),
        reads=(EMPLOYEES.operation, ONBOARDING.operation),
        settle=_SETTLE,
        title="Invite to enter their payroll data",
    )
    async def invite_self_onboarding(self, person: Person) -> Account:
        """Let Gusto ask the person for bank and tax data; done if it has, or if they have."""
        employee = await self.known(person)
        path: dict[str, object] = {"employee": employee.uuid}

        async def look() -> str | None:
            state = STATE.read(await self.http.call(ONBOARDING, path)).onboarding_status
            return state if state in INVITED else None

        async def invite() -> str:
            body = {"onboarding_status": "self_onboarding_invited"}
            answer = await self.http.call(MOVE_ONBOARDING, path, body=body)
            return STATE.read(answer).onboarding_status

        reached = await ensured(
            look=look,
            ours=lambda _: "employee id",
            create=invite,
            settling=self.settling(*_SETTLE),
            what="invitation",
        )
        return self.reported(reached, self._account(person, employee))

    # Requests ----------------------------------------------------------------------------------

    async def _own(self, person: Person) -> Owned[Employee] | None:
        """Find the person's own record; raises OwnershipConflict if it is not known to be."""
        found = await self._employee(person)
        if found is None:
            return None
        shown = (
            "Look for them in Gusto: People.",
            "They have left." if found.terminated else "They are employed.",
        )
        return Owned(found, await self.whose(person, self._account(person, found), *shown))

    async def _employee(self, person: Person) -> Employee | None:
        """Search by name and match the address: Gusto searches names only."""
        return await self._of_address(person.email, search_term=person.name)

    async def _of_address(self, email: str, **search: str) -> Employee | None:
        """Page through employees, all of them without a search, for the one of an address."""
        found = [each async for each in self._employees(**search) if each.is_at(email)]
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one employee has this address.", evidence=f"{len(found)} hits"
            )
        return found[0] if found else None

    async def _employees(self, **search: str) -> AsyncIterator[Employee]:
        async def read(number: int) -> tuple[tuple[Employee, ...], int | None]:
            query = {**search, "page": str(number), "per": str(_PAGE)}
            answer = await self.http.call(EMPLOYEES, {"company": self.company}, query=query)
            page = PAGES.read(answer)
            return page, number + 1 if page and number < last_page(answer) else None

        async for page in pages(EMPLOYEES.operation, read, 1):
            for employee in page:
                yield employee

    async def known(self, person: Person) -> Employee:
        """Find the employee, who must be there; raises OwnershipConflict if they may be another."""
        own = await self._own(person)
        if own is None:
            raise Invalid(
                "There is no such employee in payroll.", fields={"person": "is not there"}
            )
        return own.value

    async def _create(
        self, person: Person, private_email: str, *, self_onboarding: bool
    ) -> Owned[Employee]:
        given, family = names_of(person)
        body: dict[str, object] = {
            "first_name": given,
            "last_name": family,
            "work_email": person.email,
            "self_onboarding": self_onboarding,
        }
        if private_email or self_onboarding:
            body["email"] = private_email or person.email
        answer = await self.http.call(CREATE_EMPLOYEE, {"company": self.company}, body=body)
        return Owned(ONE.read(answer), "created")

    async def _delete(self, employee: Employee) -> None:
        try:
            await self.http.call(
                DELETE_EMPLOYEE, {"employee": employee.uuid}, expect=(HTTPStatus.NOT_FOUND,)
            )
        except Invalid as refused:
            raise Forbidden(
                "The employee has completed onboarding and can only be terminated.",
                reason="blocked",
                operation=DELETE_EMPLOYEE.operation,
            ) from refused

    def _account(self, person: Person, employee: Employee) -> Account:
        return Account(
            system=self.name,
            id=employee.uuid,
            handle=person.email,
            email=person.email,
            state="active",
        )
