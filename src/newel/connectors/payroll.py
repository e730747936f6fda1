"""Payroll in Gusto: employees.

Nothing about an employee is unique and no request has an idempotency key, so a second POST makes
a second employee. What stands against it: the look-up before, at the settle times after a lost
answer, and the store's lock on the effect, by which two runs about one person never stand
between look-up and create at once.
Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import (
    Bug,
    ContractDrift,
    Forbidden,
    Invalid,
    OwnershipConflict,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside, all_of, names_of
from newel.connectors.contract import Shape
from newel.connectors.ensure import ensured, removed
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.http import MOST_PAGES
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["Gusto"]

API: Final = "gusto.api"
_EMPLOYEES: Final = "/v1/companies/{company}/employees"

TOKEN_INFO: Final = Route("get-v1-token-info", "GET", "/v1/token_info", API)
EMPLOYEES: Final = Route("get-v1-companies-company_id-employees", "GET", _EMPLOYEES, API)
CREATE_EMPLOYEE: Final = Route("post-v1-employees", "POST", _EMPLOYEES, API)
DELETE_EMPLOYEE: Final = Route(
    "delete-v1-employee", "DELETE", "/v1/employees/{employee}", API, repeatable=True
)

_SETTLE: Final = (0, 5, 30, 120)
_SCOPES: Final = ("employees:read", "employees:manage")
_PAGE: Final = 100
_NAMED_SCOPE: Final = re.compile(r"\b([a-z_]+:[a-z]+)\b")


@dataclass(frozen=True)
class Employee:
    """An employee; `email` is the private address."""

    uuid: str
    work_email: str | None = None
    email: str | None = None
    onboarded: bool = False

    def is_at(self, address: str) -> bool:
        """Say whether this is the employee with an address: at work, else the private one."""
        known = self.work_email or self.email or ""
        return known.lower() == address.lower()


@dataclass(frozen=True)
class TokenInfo:
    """What a token may do."""

    scope: str


_ONE: Final = Shape(Employee)
_PAGES: Final = Shape(tuple[Employee, ...])
_INFO: Final = Shape(TokenInfo)


class Gusto(Connector):
    """One company at Gusto: its employees."""

    title = "Gusto"
    buckets: ClassVar = (Bucket(name=API, rate=160 / 60, capacity=40),)

    def __init__(
        self,
        *,
        company: str,
        token: SecretRef,
        name: str = "gusto",
        base_url: str = "https://api.gusto.com",
        api_version: str = "2025-06-15",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a company's id and a token of it."""
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url},
            headers={"X-Gusto-API-Version": api_version},
            request_id=("x-request-id",),
            **outside,
        )
        self.company = company

    async def probe(self) -> None:
        """Ask what the token may do."""
        await self.http.call(TOKEN_INFO)

    async def check(self) -> Check:
        """Prove token and scopes."""
        have = tuple(_INFO.read(await self.http.call(TOKEN_INFO)).scope.split())
        missing = all_of(_SCOPES, have)
        return Check(ok=not missing, identity=self.company, have=have, missing=missing)

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
        natural_key="employee/{person.email}",
        idempotency="append",
        grants="{system}:account",
        undo="withdraw",
        reversible="until:onboarding is completed",
        sends_email="person",
        bucket=API,
        needs=_SCOPES,
        spec=(CREATE_EMPLOYEE.operation,),
        reads=(EMPLOYEES.operation,),
        settle=_SETTLE,
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
            look=lambda: self._employee(person),
            ours=lambda _: "derived",
            create=lambda: self._create(person, private_email, self_onboarding=self_onboarding),
            settling=self.settling(*_SETTLE),
            what="employee",
        )
        return self.reported(reached, self._account(person, reached.value))

    @operation(
        natural_key="employee/{person.email}",
        idempotency="put",
        revokes="{system}:account",
        undo="ensure_employee",
        reversible="with_loss",
        bucket=API,
        needs=_SCOPES,
        spec=(DELETE_EMPLOYEE.operation,),
        reads=(EMPLOYEES.operation,),
        settle=_SETTLE,
        title="Withdraw from payroll",
    )
    async def withdraw(self, person: Person) -> Account:
        """Take them out of payroll while they are still being onboarded."""
        reached = await removed(
            look=lambda: self._employee(person),
            ours=lambda _: "derived",
            remove=self._delete,
            settling=self.settling(*_SETTLE),
            what="employee",
        )
        gone = Account(
            system=self.name,
            id=reached.value.uuid if reached.value else "",
            handle=person.email,
            email=person.email,
            state="absent",
        )
        return self.reported(reached, gone, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _employee(self, person: Person) -> Employee | None:
        """Search by name, page through, and match the address: Gusto searches names only."""
        found: list[Employee] = []
        for number in range(1, MOST_PAGES + 1):
            query = {"search_term": person.name, "page": str(number), "per": str(_PAGE)}
            answer = await self.http.call(EMPLOYEES, {"company": self.company}, query=query)
            page = _PAGES.read(answer)
            found += [employee for employee in page if employee.is_at(person.email)]
            if not page or number >= _last_page(answer):
                break
        else:
            raise Bug("The list of employees has no end.")
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one employee has this address.", evidence=f"{len(found)} hits"
            )
        return found[0] if found else None

    async def _create(
        self, person: Person, private_email: str, *, self_onboarding: bool
    ) -> Employee:
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
        return _ONE.read(answer)

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

    # Answers -----------------------------------------------------------------------------------

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Gusto, by its category."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return judged_by_status(answer)
        errors = _errors(answer)
        code = errors[0].get("category") if errors else None
        text = " ".join(each.get("message", "") for each in errors)
        said, facts = sanitised(text), facts_of(answer, code)
        match answer.status:
            case 403:
                scope = _NAMED_SCOPE.search(text)
                missing = scope[1] if scope else None
                return Forbidden(f"The token may not do this: {said}", missing=missing, **facts)
            case 406:
                return ContractDrift(
                    "Gusto does not speak this version of its API any more.",
                    expected="the pinned version",
                    seen=said,
                    **facts,
                )
            case 409:
                return Transient("Somebody else changed the employee at this moment.", **facts)
            case 422:
                reasons = {e.get("error_key", ""): sanitised(e.get("message")) for e in errors}
                return Invalid(f"Gusto refuses the data: {said}", fields=reasons, **facts)
            case 429:
                wait = retry_after(answer)
                if wait or (reset := _reset(answer)) is None:
                    return Throttled("Gusto asks for fewer calls.", **facts, **wait)
                return Throttled("Gusto asks for fewer calls.", retry_at=reset, **facts)
            case _:
                return judged_by_status(answer, code=code, said=said)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this minute."""
        remaining = answer.headers.get("x-ratelimit-remaining", "")
        if not remaining.isdigit():
            return None
        return LimitHeaders(remaining=int(remaining), reset_at=_reset(answer))


def _errors(answer: Answer) -> list[dict[str, str]]:
    document = answer.document if isinstance(answer.document, dict) else {}
    listed = document.get("errors")
    if not isinstance(listed, list):
        return []
    return [
        {str(name): str(value) for name, value in each.items()}
        for each in listed
        if isinstance(each, dict)
    ]


def _reset(answer: Answer) -> datetime | None:
    stated = answer.headers.get("x-ratelimit-reset", "")
    return datetime.fromtimestamp(int(stated), UTC) if stated.isdigit() else None


def _last_page(answer: Answer) -> int:
    stated = answer.headers.get("x-total-pages", "")
    return int(stated) if stated.isdigit() else MOST_PAGES
