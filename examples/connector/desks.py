"""Desks: who has an account there, and who may log in.

Every operation looks first, and changes only what differs. An account of ours carries
the person's marker from the moment it exists; one without was made by somebody else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Unpack

from newel import (
    Account,
    Forbidden,
    Invalid,
    NoCapacity,
    OwnershipConflict,
    Person,
    SecretRef,
    StepError,
)
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    sanitised,
)
from newel.connectors.base import Check, Holding, Outside, all_of, marker_of
from newel.connectors.contract import Shape
from newel.connectors.ensure import Ensured, Exists, ensured
from newel.connectors.generic import API, HttpApi
from newel.connectors.operation import operation

# What may be asked of the system: every call that is made is one of these.
ME: Final = Route("me.get", "GET", "/v1/me", API)
LIST: Final = Route("accounts.list", "GET", "/v1/accounts", API)
CREATE: Final = Route("accounts.create", "POST", "/v1/accounts", API)
UPDATE: Final = Route(
    "accounts.update",
    "PATCH",
    "/v1/accounts/{id}",
    API,
    repeatable=True,
)

READ: Final = "accounts:read"
WRITE: Final = "accounts:write"

# How long an account may take to be seen after it was made, in seconds.
SETTLE: Final = (0, 2, 5)


# What is read of the answers: these fields and no others.


@dataclass(frozen=True)
class Seat:
    """An account as the system shows it; `reference` is our mark on it."""

    id: str
    email: str
    name: str
    state: Literal["active", "suspended"]
    reference: str | None

    def evidence(self, marker: str) -> str:
        """Say why it is theirs; raises OwnershipConflict if nothing says so."""
        if self.reference == marker:
            return "marker"
        raise OwnershipConflict(
            "An account with this address exists and is not known to be theirs.",
            external_id=self.id,
            evidence="marker of another" if self.reference else "no marker",
        )


@dataclass(frozen=True)
class Page:
    """One page of accounts, and where the next one begins."""

    accounts: tuple[Seat, ...]
    next: str | None


@dataclass(frozen=True)
class Me:
    """Whose token it is, and what it may do."""

    workspace: str
    scopes: tuple[str, ...]


ONE: Final = Shape(Seat)
PAGE: Final = Shape(Page)
OWN: Final = Shape(Me)


class Desks(HttpApi):
    """One workspace of Desks.

    Where the vendor publishes an OpenAPI document, put it beside this module and
    name it as `spec_file`: the tests then hold connector and stand-in to it.
    """

    title = "Desks"
    routes = (ME, LIST, CREATE, UPDATE)

    def __init__(
        self,
        *,
        token: SecretRef,
        name: str = "desks",
        base_url: str = "https://api.desks.example",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for the address and an administrator's token."""
        super().__init__(
            name=name,
            base_url=base_url,
            token=token,
            probe=ME,
            **outside,
        )

    async def check(self) -> Check:
        """Prove the token and its scopes by reading."""
        own = OWN.read(await self.http.call(ME))
        missing = all_of((READ, WRITE), own.scopes)
        return Check(
            ok=not missing,
            identity=own.workspace,
            have=own.scopes,
            missing=missing,
        )

    # Operations

    @operation(
        natural_key="account/{person.email}",
        idempotency="read",
        bucket=API,
        needs=(READ,),
        reads=(LIST.operation,),
        title="Look for the Desks account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account at their address, whoever it belongs to."""
        seat = await self._seat(person)
        return None if seat is None else self._account(seat)

    @operation(
        natural_key="account/{person.email}",
        idempotency="natural",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        sends_email="person",
        bucket=API,
        needs=(READ, WRITE),
        spec=(CREATE.operation, UPDATE.operation),
        reads=(LIST.operation,),
        settle=SETTLE,
        title="Create the Desks account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their account with our mark, or find that it is there."""
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._seat(person),
            ours=lambda seat: seat.evidence(marker),
            create=lambda: self._create(person, marker),
            differs=lambda seat: _unlike(seat, "active"),
            change=self._update,
            settling=self.settling(*SETTLE),
            what="Desks account",
        )
        return self.reported(reached, self._account(reached.value))

    @operation(
        natural_key="account/{person.email}",
        idempotency="put",
        revokes="{system}:account",
        undo="restore",
        reversible="yes",
        bucket=API,
        needs=(READ, WRITE),
        spec=(UPDATE.operation,),
        reads=(LIST.operation,),
        settle=SETTLE,
        title="Suspend the Desks account",
    )
    async def suspend(self, person: Person) -> Account:
        """Let them in no more; one who has no account is out already."""
        if await self._seat(person) is None:
            return self.gone(self.absent(person))
        reached = await self._switched(person, "suspended")
        account = self._account(reached.value)
        return self.reported(reached, account, access="suspended")

    @operation(
        natural_key="account/{person.email}",
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        bucket=API,
        needs=(READ, WRITE),
        spec=(UPDATE.operation,),
        reads=(LIST.operation,),
        settle=SETTLE,
        title="Restore the Desks account",
    )
    async def restore(self, person: Person) -> Account:
        """Let them in again."""
        reached = await self._switched(person, "active")
        return self.reported(reached, self._account(reached.value))

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give every account with its mark; reads only."""
        query: dict[str, str] = {}
        while True:
            answer = await self.http.call(LIST, query=query)
            page = PAGE.read(answer)
            for seat in page.accounts:
                yield Holding(
                    account=self._account(seat),
                    entitlements=(self.base_entitlement,),
                    marker=seat.reference or "",
                )
            if page.next is None:
                return
            query = {"cursor": page.next}

    # Requests

    async def _seat(self, person: Person) -> Seat | None:
        answer = await self.http.call(LIST, query={"email": person.email})
        found = PAGE.read(answer).accounts
        return found[0] if found else None

    async def _create(self, person: Person, marker: str) -> Seat:
        body = {
            "email": person.email,
            "name": person.name,
            "reference": marker,
        }
        answer = await self.http.call(CREATE, body=body, expect=("email_taken",))
        if answer.status != 201:
            raise Exists
        return ONE.read(answer)

    async def _update(self, seat: Seat, fields: Mapping[str, object]) -> Seat:
        path = {"id": seat.id}
        answer = await self.http.call(UPDATE, path, body=dict(fields))
        return ONE.read(answer)

    async def _switched(self, person: Person, state: str) -> Ensured[Seat]:
        marker = marker_of(person)
        return await ensured(
            look=lambda: self._seat(person),
            ours=lambda seat: seat.evidence(marker),
            create=None,
            differs=lambda seat: _unlike(seat, state),
            change=self._update,
            settling=self.settling(0),
            what="Desks account",
        )

    def _account(self, seat: Seat) -> Account:
        return Account(
            system=self.name,
            id=seat.id,
            handle=seat.email,
            email=seat.email,
            state=seat.state,
        )

    # Failures

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer: by the system's own code first, by the status else."""
        said = answer.fields
        code = str(said.get("code") or "")
        text = sanitised(said.get("message"))
        facts = facts_of(answer, code or None)
        match code:
            case "no_seat":
                return NoCapacity("No seat is free.", what="seats", **facts)
            case "missing_scope":
                scope = str(said.get("scope") or "")
                return Forbidden(text, missing=scope, **facts)
            case "invalid":
                field = {str(said.get("field")): text}
                return Invalid("The data is refused.", fields=field, **facts)
            case _:
                return judged_by_status(answer, code=code or None, said=text)


def _unlike(seat: Seat, state: str) -> Mapping[str, object]:
    return {} if seat.state == state else {"state": state}
