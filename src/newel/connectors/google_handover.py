"""What is handed on when somebody goes: their files, and the licence others may use.

A transfer of files is asked for once and then runs for minutes to hours; the process looks again
until it is over. A running one from the same to the same person is taken up instead of a second.
Source: connectors document, §11; parameters of the Data Transfer API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Literal

from newel.base.errors import Forbidden, Invalid, NoCapacity
from newel.connectors.capability import BY_HAND, ByHand, Way
from newel.connectors.ensure import Ensured, Exists, ensured, removed
from newel.connectors.google_answers import HELD
from newel.connectors.google_base import LICENSING, TRANSFERRING, GoogleBase
from newel.connectors.google_contract import (
    APPLICATIONS,
    DELETE_LICENCE,
    DIRECTORY,
    GET_LICENCE,
    GET_TRANSFER,
    GET_USER,
    INSERT_LICENCE,
    INSERT_TRANSFER,
    LICENCE_SCOPE,
    LICENCES,
    LIST_APPLICATIONS,
    LIST_TRANSFERS,
    TRANSFER_PAGES,
    TRANSFER_SCOPE,
    TRANSFERS,
    USER_SCOPE,
    Licence,
    TransferSeen,
)
from newel.connectors.google_user import User
from newel.connectors.looking import believe, report
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account, Effect
from newel.flow.context import ATTEMPT

__all__ = ["GoogleHandover", "Transfer"]

TransferState = Literal["running", "completed", "failed"]

_STATES: Final[dict[str, TransferState]] = {"completed": "completed", "failed": "failed"}
_LICENCE_NEEDS: Final = (USER_SCOPE, LICENCE_SCOPE)
_BY_LICENSING: Final = (Way(path="admin_api", capability=LICENSING),)
_OPEN: Final = "Open Google's administration: Users, and there their work address, Licences."
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
# What is asked for of each application, by its name: everything that the person owns.
_EVERYTHING: Final[dict[str, dict[str, list[str]]]] = {
    "Drive and Docs": {"PRIVACY_LEVEL": ["PRIVATE", "SHARED"]},
    "Calendar": {"RELEASE_RESOURCES": ["TRUE"]},
}


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A transfer of files from one person to another; its id asks how far it is."""

    system: str
    id: str
    state: TransferState


class GoogleHandover(GoogleBase):
    """Transfers of files, and licences."""

    _applications: tuple[dict[str, object], ...] = ()

    @operation(
        natural_key="transfer/{person.email}/{to.email}",
        idempotency="append",
        ways=(Way(path="admin_api", capability=TRANSFERRING),),
        undo="none: the new owner gives files back by hand",
        reversible="no",
        bucket=DIRECTORY,
        needs=(USER_SCOPE, TRANSFER_SCOPE),
        spec=(INSERT_TRANSFER.operation,),
        reads=(GET_USER.operation, LIST_APPLICATIONS.operation, LIST_TRANSFERS.operation),
        title="Transfer the Google files",
    )
    async def transfer_files(self, person: Person, to: Person) -> Transfer:
        """Begin to hand over all files and calendars, or find that it has begun."""
        old, evidence = await self._own(person)
        new, _ = await self._own(to)
        if old is None or new is None:
            raise Invalid("One of the two has no Google account to transfer from or to.")
        reached = await ensured(
            look=lambda: self._transfer(old, new),
            ours=lambda _: evidence,
            create=lambda: self._begin(old, new),
            settling=self.settling(0),
            what="transfer of files",
        )
        transfer = self._shown(reached.value)
        report(
            Effect(
                changed=reached.changed,
                external_id=transfer.id,
                account=person.email,
                evidence=reached.evidence,
            )
        )
        return transfer

    @operation(
        idempotency="read",
        natural_key="transfer/{transfer.id}",
        needs=(TRANSFER_SCOPE,),
        reads=(GET_TRANSFER.operation,),
        bucket=DIRECTORY,
        title="See whether the Google files are transferred",
    )
    async def transferred(self, transfer: Transfer) -> bool:
        """Say whether a transfer is over; raises Forbidden(blocked) if it has failed."""
        seen = TRANSFERS.read(await self.http.call(GET_TRANSFER, {"id": transfer.id}))
        shown = self._shown(seen)
        if shown.state == "failed":
            raise Forbidden(
                "Google has not transferred all files: see the transfer in its administration, "
                "hand over by hand what is left, then complete this step by hand.",
                reason="blocked",
                operation=GET_TRANSFER.operation,
            )
        return shown.state == "completed"

    @operation(
        natural_key="licence/{product}/{sku}/{person.email}",
        idempotency="natural",
        ways=_BY_LICENSING,
        by_hand=ByHand(
            title="give them a Google licence",
            how=(_OPEN, "Assign {sku} of {product}."),
            is_seen=False,
        ),
        grants="{system}:licence/{sku}",
        undo="remove_licence",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_LICENCE_NEEDS,
        spec=(INSERT_LICENCE.operation,),
        reads=(GET_USER.operation, GET_LICENCE.operation),
        title="Assign the Google licence",
    )
    async def assign_licence(
        self, person: Person, sku: str, *, product: str = "Google-Apps"
    ) -> Account:
        """Give them a licence, by the vendor's ids of product and kind."""
        user, evidence = await self._own(person)
        if user is None:
            raise Invalid("There is no Google account to give a licence to.")
        if self.way == BY_HAND:
            believe(INSERT_LICENCE.operation)
            told = Ensured(user, changed=False, evidence=evidence)
            return self.reported(told, self._account(user))
        reached = await ensured(
            look=lambda: self._licence(product, sku, user),
            ours=lambda _: evidence,
            create=lambda: self._insert_licence(product, sku, user),
            settling=self.settling(0),
            what="licence",
        )
        return self.reported(reached, self._account(user))

    @operation(
        natural_key="licence/{product}/{sku}/{person.email}",
        idempotency="put",
        ways=_BY_LICENSING,
        by_hand=ByHand(
            title="take their Google licence back",
            how=(_OPEN, "Remove {sku} of {product}."),
            is_seen=False,
        ),
        revokes="{system}:licence/{sku}",
        undo="assign_licence",
        reversible="yes",
        bucket=DIRECTORY,
        needs=_LICENCE_NEEDS,
        spec=(DELETE_LICENCE.operation,),
        reads=(GET_USER.operation, GET_LICENCE.operation),
        title="Remove the Google licence",
    )
    async def remove_licence(
        self, person: Person, sku: str, *, product: str = "Google-Apps"
    ) -> Account:
        """Take a licence back; an account that is gone has none."""
        user, evidence = await self._own(person)
        if user is None:
            return self.gone(self.absent(person))
        if self.way == BY_HAND:
            believe(DELETE_LICENCE.operation)
            told = Ensured(user, changed=False, evidence=evidence)
            return self.reported(told, self._account(user), access="revoked")
        reached = await removed(
            look=lambda: self._licence(product, sku, user),
            ours=lambda _: evidence,
            remove=lambda _: self._delete_licence(product, sku, user),
            settling=self.settling(0),
            what="licence",
        )
        return self.reported(reached, self._account(user), access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _transfer(self, old: User, new: User) -> TransferSeen | None:
        """Find the transfer that runs, or that has run since this act was intended."""
        since = None
        if (attempting := ATTEMPT.get()) is not None:
            since = attempting.info.intended_at - _CLOCKS_DIFFER
        query = {"oldOwnerUserId": old.id, "newOwnerUserId": new.id}
        async for page in self._pages(LIST_TRANSFERS, TRANSFER_PAGES, query=query):
            for each in page.transfers:
                is_recent = since is not None and datetime.fromisoformat(each.requested) >= since
                if each.status not in _STATES or is_recent:
                    return each
        return None

    async def _begin(self, old: User, new: User) -> TransferSeen:
        body = {
            "oldOwnerUserId": old.id,
            "newOwnerUserId": new.id,
            "applicationDataTransfers": await self._whole(),
        }
        return TRANSFERS.read(await self.http.call(INSERT_TRANSFER, body=body))

    async def _whole(self) -> tuple[dict[str, object], ...]:
        """Say of which applications everything is wanted; their ids are asked for once."""
        if not self._applications:
            listed = APPLICATIONS.read(await self.http.call(LIST_APPLICATIONS)).applications
            self._applications = tuple(
                {
                    "applicationId": each.id,
                    "applicationTransferParams": [
                        {"key": key, "value": value}
                        for key, value in _EVERYTHING[each.name].items()
                    ],
                }
                for each in listed
                if each.name in _EVERYTHING
            )
        return self._applications

    def _shown(self, seen: TransferSeen) -> Transfer:
        state = _STATES.get(seen.status, "running")
        return Transfer(system=self.name, id=seen.id, state=state)

    async def _licence(self, product: str, sku: str, user: User) -> Licence | None:
        path = {"product": product, "sku": sku, "user": user.email}
        answer = await self.http.call(GET_LICENCE, path, expect=(HTTPStatus.NOT_FOUND,))
        return None if answer.status == HTTPStatus.NOT_FOUND else LICENCES.read(answer)

    async def _insert_licence(self, product: str, sku: str, user: User) -> Licence:
        path = {"product": product, "sku": sku}
        try:
            answer = await self.http.call(INSERT_LICENCE, path, body={"userId": user.email})
        except NoCapacity as full:
            full.what = f"licences {sku} of Google"
            raise
        except Invalid as refused:
            if refused.code == HELD and await self._licence(product, sku, user) is not None:
                raise Exists from None
            raise
        return LICENCES.read(answer)

    async def _delete_licence(self, product: str, sku: str, user: User) -> None:
        path = {"product": product, "sku": sku, "user": user.email}
        await self.http.call(DELETE_LICENCE, path, expect=(HTTPStatus.NOT_FOUND,))
