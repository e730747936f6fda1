"""Employees in Gusto: found, added, invited, withdrawn. What they do and earn is in `payroll`.

Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import (
    Forbidden,
    Invalid,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.base.secrets import Secret, SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import REFUSED, BearerCredential, granted, revealed
from newel.connectors.base import Check, Connector, Holding, Outside, all_of, names_of
from newel.connectors.ensure import ensured, removed
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.http import Credential, Http
from newel.connectors.operation import operation
from newel.connectors.owning import Owned, evidence_of
from newel.connectors.paging import pages
from newel.connectors.payroll_contract import (
    API,
    CREATE_EMPLOYEE,
    DELETE_EMPLOYEE,
    EMPLOYEE,
    EMPLOYEES,
    INFO,
    INVITED,
    MOVE_ONBOARDING,
    ONBOARDING,
    ONE,
    PAGES,
    RENEWED,
    STALE,
    STATE,
    TOKEN,
    TOKEN_INFO,
    UPDATE_EMPLOYEE,
    Employee,
    judged,
    last_page,
    limits,
)
from newel.connectors.rotating import Keeper, Renewal, Renewed, RotatingCredential
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["GustoEmployees", "on_its_version"]

_SETTLE: Final = (0, 5, 30, 120)
_SCOPES: Final = ("employees:read", "employees:manage")
JOB_SCOPES: Final = ("employees:read", "jobs:read", "jobs:write")
# Without the right to read pay, Gusto leaves out what is needed to change it.
PAY_SCOPES: Final = ("employees:read", "jobs:read", "compensations:read", "compensations:write")
EMPLOYMENT_SCOPES: Final = ("employees:read", "employments:read", "employments:write")
_ALL_SCOPES: Final = tuple(
    sorted({*_SCOPES, "employees:write", *JOB_SCOPES, *PAY_SCOPES, *EMPLOYMENT_SCOPES})
)
_PAGE: Final = 100
STALE_VERSION: Final = (HTTPStatus.CONFLICT, STALE)


_ADVICE: Final = {
    "invalid_grant": (
        "The refresh token was used before, or was withdrawn: authorise newel in Gusto anew, and "
        "put the new refresh token where the old one stands."
    ),
    "invalid_client": "See whether the application's id and secret are those that Gusto shows.",
}


async def _exchanged(http: Http, renewal: Renewal, refresh: Secret) -> Renewed:
    """Spend a refresh token for a token and the next one."""
    secret = await revealed(renewal.client_secret)
    body = {
        "client_id": renewal.client_id,
        "client_secret": secret.reveal(),
        "grant_type": "refresh_token",
        "refresh_token": refresh.reveal(),
    }
    answer = await http.call(TOKEN, body=body, expect=REFUSED, is_signed=False)
    return granted(answer, RENEWED, http.now(), _ADVICE)


class GustoEmployees(Connector):
    """One company at Gusto, as far as its employees themselves go."""

    title = "Gusto"
    buckets: ClassVar = (Bucket(name=API, rate=160 / 60, capacity=40),)

    def __init__(
        self,
        *,
        company: str,
        token: SecretRef | Renewal,
        name: str = "gusto",
        base_url: str = "https://api.gusto.com",
        api_version: str = "2025-06-15",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a company's id and a token of it, or what tokens are renewed with."""
        self._renewing: RotatingCredential | None = None
        credential: Credential
        if isinstance(token, Renewal):
            credential = self._renewing = RotatingCredential(token, _exchanged)
            secret = token.refresh_token
        else:
            credential, secret = BearerCredential(token), token
        super().__init__(
            name=name,
            secret=secret,
            credential=credential,
            addresses={"": base_url},
            headers={"X-Gusto-API-Version": api_version},
            request_id=("x-request-id",),
            **outside,
        )
        self.company = company

    def keep_tokens_in(self, keeper: Keeper) -> None:
        """Let a deployment keep the tokens, where they are renewed."""
        if self._renewing is not None:
            self._renewing.keep_in(keeper, self.credential)

    async def probe(self) -> None:
        """Ask what the token may do."""
        await self.http.call(TOKEN_INFO)

    async def check(self) -> Check:
        """Prove token and scopes."""
        have = tuple(INFO.read(await self.http.call(TOKEN_INFO)).scope.split())
        missing = all_of(_ALL_SCOPES, have)
        # A company that keeps pay or leaving to itself does without those scopes.
        is_workable = not all_of(_SCOPES, have)
        return Check(ok=is_workable, identity=self.company, have=have, missing=missing)

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
        needs=_SCOPES,
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
        needs=_SCOPES,
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

    # Answers -----------------------------------------------------------------------------------

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Gusto."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this minute."""
        return limits(answer)


async def on_its_version(
    send: Callable[[str], Awaitable[Answer]],
    fresh: Callable[[], Awaitable[str]],
    version: str,
) -> Answer:
    """Send a change on the version that was read; if that is stale, once more on a fresh one."""
    answer = await send(version)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        answer = await send(await fresh())
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise Transient("Somebody else keeps changing the record.")
    return answer
